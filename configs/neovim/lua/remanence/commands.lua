--- The user commands. Each calls one verb of the server and shows its answer.
local client = require("remanence.client")
local view = require("remanence.view")
local absent = client.absent

local M = {}

local function counted(count, one, many)
  return count .. " " .. (count == 1 and one or many)
end

local function memories(count)
  return counted(count, "memory", "memories")
end

-- Where the user is: recall ranks by it. Only a buffer that shows a file has a place.
local function place()
  if vim.bo.buftype ~= "" or vim.api.nvim_buf_get_name(0) == "" then
    return {}
  end
  return { uri = vim.uri_from_bufnr(0), languageId = vim.bo.filetype ~= "" and vim.bo.filetype or nil }
end

local function selected(command)
  return table.concat(vim.api.nvim_buf_get_lines(0, command.line1 - 1, command.line2, false), "\n")
end

-- Calls back with a text that the user gives; an empty one means that they thought better of it.
local function ask(prompt, given, callback)
  if given ~= "" then
    return callback(given)
  end
  vim.ui.input({ prompt = prompt }, function(text)
    if text and vim.trim(text) ~= "" then
      callback(text)
    end
  end)
end

local function recall(command)
  ask("Recall: ", command.args, function(query)
    client.call("recall", vim.tbl_extend("force", place(), { query = query }), function(answer)
      if #answer.memories == 0 then
        return client.notify("nothing remembered about that")
      end
      view.list(query, answer.memories)
      if not absent(answer.degraded) then
        client.notify(answer.degraded, vim.log.levels.WARN)
      end
    end)
  end)
end

local function fenced(code)
  local fence = "```"
  while code:find(fence, 1, true) do
    fence = fence .. "`"
  end
  return fence .. vim.bo.filetype .. "\n" .. code .. "\n" .. fence
end

local function question(command)
  local about = command.range > 0 and "\n\n" .. fenced(selected(command)) or ""
  local where = place()
  ask("Ask: ", command.args, function(text)
    require("remanence.ask").ask(vim.tbl_extend("force", where, { prompt = text .. about }))
  end)
end

local function models(command)
  local action, id = command.fargs[1], command.fargs[2]
  client.call("models", { action = action, id = id }, function(answer)
    local lines = { "# Language models", "" }
    for _, model in ipairs(answer.models) do
      local size = model.rssMb > 0 and model.rssMb or model.sizeMb
      local words = ("- %s%s: %s, %.0f MB"):format(model.id, model.isDefault and " (default)" or "", model.state, size)
      if not absent(model.idleSeconds) then
        words = words .. (", idle for %.0f s"):format(model.idleSeconds)
      end
      table.insert(lines, words)
      table.insert(lines, "  " .. (absent(model.problem) and model.backend .. " · " .. model.place or model.problem))
    end
    if #answer.models == 0 then
      table.insert(lines, "None is set: name one under [language_models] in settings.toml.")
    end
    vim.list_extend(lines, { "", ("Profile %s: %d MB at most."):format(answer.profile, answer.limitMb) })
    for _, advice in ipairs(answer.recommended) do
      table.insert(lines, ("- would suit: %s %s, %d MB"):format(advice.name, advice.quantisation, advice.sizeMb))
    end
    if not absent(answer.warning) then
      table.insert(lines, "- warning: " .. answer.warning)
    end
    view.show("models", table.concat(lines, "\n"))
  end)
end

local function capture(command)
  local where = vim.tbl_extend("force", place(), { workspace = client.workspace(vim.api.nvim_get_current_buf()) })
  local answered = command.range > 0 and selected(command) or ""
  ask("Question: ", command.args, function(question)
    ask("Answer: ", answered, function(answer)
      local exchange = vim.tbl_extend("force", where, { question = question, answer = answer })
      client.call("capture", exchange, function(captured)
        local redacted = captured.redactions and #captured.redactions or 0
        local taken_out = redacted > 0 and " (" .. counted(redacted, "secret", "secrets") .. " taken out)" or ""
        local reason = absent(captured.reason) and "" or ": " .. captured.reason
        client.notify(captured.status .. reason .. taken_out)
      end)
    end)
  end)
end

-- Marks follow the text while the answer is awaited, so an edit made meanwhile is not overwritten.
local function replace_later(bufnr, first, last)
  local namespace = vim.api.nvim_create_namespace("remanence.enrich")
  local before = vim.api.nvim_buf_get_lines(bufnr, first - 1, last, false)
  local from = vim.api.nvim_buf_set_extmark(bufnr, namespace, first - 1, 0, {})
  return function(lines)
    if not vim.api.nvim_buf_is_valid(bufnr) then
      return false
    end
    local start = vim.api.nvim_buf_get_extmark_by_id(bufnr, namespace, from, {})[1]
    vim.api.nvim_buf_del_extmark(bufnr, namespace, from)
    local now = vim.api.nvim_buf_get_lines(bufnr, start, start + #before, false)
    if not vim.deep_equal(now, before) then
      return false
    end
    vim.api.nvim_buf_set_lines(bufnr, start, start + #before, false, lines)
    return true
  end
end

local function enrich(command)
  local ranged = command.range > 0
  local replace = ranged and replace_later(vim.api.nvim_get_current_buf(), command.line1, command.line2)
  ask("Prompt: ", ranged and selected(command) or command.args, function(prompt)
    client.call("enrichPrompt", vim.tbl_extend("force", place(), { prompt = prompt }), function(answer)
      local used = memories(#answer.memories) .. " used, about " .. counted(answer.tokens, "token", "tokens")
      if replace and replace(vim.split(answer.prompt, "\n", { plain = true })) then
        return client.notify(used)
      end
      vim.fn.setreg('"', answer.prompt)
      if vim.fn.has("clipboard") == 1 then
        vim.fn.setreg("+", answer.prompt)
      end
      view.show("prompt", answer.prompt)
      client.notify(used .. (replace and "; the text had changed, so it was left alone" or ""))
    end)
  end)
end

local function forget(command)
  local ids = command.fargs
  if #ids == 0 then
    ids = { view.memory_at_hand() }
  end
  if #ids == 0 then
    local hint = "no memory here: go to one in the :RemanenceRecall list, or give its id"
    return client.notify(hint, vim.log.levels.WARN)
  end
  if not command.bang and vim.fn.confirm("Forget " .. memories(#ids) .. " for good?", "&Forget\n&Keep", 2) ~= 1 then
    return
  end
  client.call("forget", { ids = ids }, function(answer)
    view.drop(ids)
    -- the server itself asks what to do about adapters that had learned it
    client.notify(memories(answer.forgotten) .. " forgotten")
  end)
end

local function started(job)
  client.notify("started as job " .. job.jobId .. "; see :RemanenceJobs")
end

local function import(command)
  client.call("import", { path = vim.fn.fnamemodify(command.args, ":p") }, started)
end

local function sync(command)
  client.call("sync", { sources = #command.fargs > 0 and command.fargs or nil }, started)
end

local function status()
  client.call("status", nil, function(answer)
    local lines = { "# Remanence", "", "- memories: " .. answer.exchanges, "- not yet indexed: " .. answer.pending }
    table.insert(lines, "- embedder: " .. answer.embedder)
    table.insert(lines, "- kept in: " .. answer.home)
    for _, index in ipairs(answer.indexes) do
      table.insert(lines, ("- %s index: %s, %s"):format(index.name, index.state, counted(index.items, "item", "items")))
    end
    for _, process in ipairs(answer.processes) do
      table.insert(lines, ("- process %s (%d): %.0f MB"):format(process.name, process.pid, process.rssMb))
    end
    for _, name in ipairs({ "learning", "warning", "degraded" }) do
      if not absent(answer[name]) then
        table.insert(lines, "- " .. name .. ": " .. answer[name])
      end
    end
    view.show("status", table.concat(lines, "\n"))
  end)
end

local function jobs()
  client.call("jobs", nil, function(answer)
    local lines = { "# Jobs", "" }
    for _, job in ipairs(answer.jobs) do
      local counts = {}
      for name, count in pairs(job.figures) do
        table.insert(counts, name .. " " .. count)
      end
      table.sort(counts)
      local said = absent(job.error) and job.message or job.error
      table.insert(lines, ("- %s %s: %s, %.0f %%"):format(job.kind, job.jobId, job.state, job.progress * 100))
      for _, detail in ipairs({ table.concat(counts, ", "), said }) do
        if detail ~= "" then
          table.insert(lines, "  " .. detail)
        end
      end
    end
    view.show("jobs", table.concat(lines, "\n"))
  end)
end

local function cancel(command)
  client.call("cancel", { jobId = command.args }, function(answer)
    for _, job in ipairs(answer.jobs) do
      client.notify(("%s %s: %s"):format(job.kind, job.jobId, job.state))
    end
  end)
end

local function learning(name)
  return function(command)
    require("remanence.learning")[name](command)
  end
end

local function complete()
  require("remanence.complete").complete()
end

local COMMANDS = {
  RemanenceComplete = { complete, { nargs = 0, desc = "Complete the prompt before the cursor from memory" } },
  RemanenceRecall = { recall, { nargs = "*", desc = "List what is remembered about a text" } },
  RemanenceAsk = { question, { nargs = "*", range = true, desc = "Ask the language model with memory" } },
  RemanenceModels = { models, { nargs = "*", desc = "Show the language models; load or unload one" } },
  RemanenceCapture = { capture, { nargs = "*", range = true, desc = "Remember a question and, as its answer, the range" } },
  RemanenceEnrich = { enrich, { nargs = "*", range = true, desc = "Add what is remembered to a prompt" } },
  RemanenceForget = { forget, { nargs = "*", bang = true, desc = "Forget the memory at hand, or those of the given ids" } },
  RemanenceImport = { import, { nargs = 1, complete = "file", desc = "Import conversations from a file or folder" } },
  RemanenceSync = { sync, { nargs = "*", desc = "Import what is new from the sources; named ones are turned on" } },
  RemanenceStatus = { status, { nargs = 0, desc = "Show what is remembered and what runs" } },
  RemanenceJobs = { jobs, { nargs = 0, desc = "Show imports and other long work" } },
  RemanenceCancel = { cancel, { nargs = 1, desc = "Cancel a job" } },
  RemanenceFacts = { learning("facts"), { nargs = "*", desc = "Show what memories say as short dated facts" } },
  RemanenceDecisions = { learning("decisions"), { nargs = "*", desc = "Show what newer facts did to older ones" } },
  RemanenceTrain = { learning("train"), { nargs = 0, bang = true, desc = "Teach the language model what is new" } },
  RemanenceAdapters = { learning("adapters"), { nargs = "*", desc = "Show what was trained; activate one, merge two, …" } },
}

---@return nil
function M.create()
  for name, command in pairs(COMMANDS) do
    vim.api.nvim_create_user_command(name, command[1], command[2])
  end
end

return M
