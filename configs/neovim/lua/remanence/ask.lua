--- Questions to the language model: the answer streams into a read-only buffer.
local client = require("remanence.client")
local view = require("remanence.view")
local absent = client.absent

local M = {}

local REQUEST_CANCELLED = -32800

local take_part_of = {} -- partial result token → function that is given each part
local asked = 0
local stop_last = function() end

-- What stands under an answer: the model, how much memory went into it, what was missing.
local function ending(answer)
  local count = #answer.memories
  local facts = {}
  if vim.trim(answer.answer) == "" then
    table.insert(facts, "nothing is remembered about this")
  end
  if not absent(answer.model) then
    table.insert(facts, answer.model)
  end
  if count > 0 then
    table.insert(facts, count == 1 and "1 memory" or count .. " memories")
  end
  if not absent(answer.degraded) then
    table.insert(facts, answer.degraded)
  end
  return "\n\n---\n*" .. table.concat(facts, " · ") .. "*\n"
end

--- The handler of `$/progress`: an answer's parts go where they are awaited, all else to Neovim's own.
function M.progress(err, params, context, config)
  local take_part = params and take_part_of[params.token]
  if take_part then
    return take_part(params.value)
  end
  return vim.lsp.handlers["$/progress"](err, params, context, config)
end

--- The command of a code action: its answer is shown here instead of by the server.
---@param command table an LSP command
---@return nil
function M.from_code_action(command)
  local request = vim.deepcopy(command.arguments[1])
  request.show = nil
  M.ask(request)
end

--- Asks, and shows the answer as it comes. <C-c> in its buffer ends it, and so does the next question.
---@param request table an AskRequest
---@return nil
function M.ask(request)
  stop_last()
  asked = asked + 1
  local token = ("remanence-ask-%d-%d"):format(vim.fn.getpid(), asked)
  local heading = "# " .. vim.split(request.prompt, "\n", { plain = true })[1]
  local append, bufnr = view.stream("answer", heading .. "\n\n")
  local cancel_request = function() end
  local running = true

  local function finish(text)
    if running then
      running = false
      take_part_of[token] = nil
      append(text)
    end
  end

  stop_last = function()
    if running then
      finish("\n\n*cancelled*\n")
      cancel_request()
    end
  end
  vim.keymap.set("n", "<C-c>", stop_last, { buffer = bufnr, desc = "End the answer" })

  take_part_of[token] = function(part)
    if part.state then
      client.notify(part.state)
    end
    append(part.answer or "")
  end

  client.call("ask", vim.tbl_extend("force", request, { partialResultToken = token }), function(answer)
    -- Without a model nothing is streamed: memory's answer comes whole.
    finish((absent(answer.model) and answer.answer or "") .. ending(answer))
  end, {
    failed = function(err)
      finish("\n\n*" .. (err.code == REQUEST_CANCELLED and "cancelled" or err.message) .. "*\n")
    end,
    begun = function(cancel)
      cancel_request = cancel
      if not running then
        cancel()
      end
    end,
  })
end

return M
