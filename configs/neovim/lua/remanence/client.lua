--- The way to the server: which client, and how its commands are called on each version of Neovim.
local M = {}

local INITIALIZE_TIMEOUT_MS = 20000
local POLL_MS = 25

--- Whether the server gave no value here, which it says with a null.
---@param value any
---@return boolean
function M.absent(value)
  return value == nil or value == vim.NIL
end

---@return table[] clients every Remanence client that is running
function M.running()
  local get = vim.lsp.get_clients or vim.lsp.get_active_clients
  local found = {}
  for _, client in pairs(get()) do
    if client.name == "remanence" then
      table.insert(found, client)
    end
  end
  return found
end

---@param bufnr number
---@return table|nil client the one that knows the buffer
function M.attached(bufnr)
  for _, client in ipairs(M.running()) do
    if vim.lsp.buf_is_attached(bufnr, client.id) then
      return client
    end
  end
  return nil
end

-- A chat can be held, and memory be asked for, before any file is open: then nothing has started the server.
local function start()
  local here = vim.fn.getcwd()
  if not (vim.lsp.config and vim.lsp.enable) then
    local attach = require("remanence.attach")
    return attach.start(attach.root(here))
  end
  local config = vim.deepcopy(vim.lsp.config.remanence)
  config.root_dir = vim.fs.root(here, config.root_markers)
  return vim.lsp.start(config, { attach = false })
end

---@param message string
---@param level number|nil one of vim.log.levels
---@return nil
function M.notify(message, level)
  vim.notify("Remanence: " .. message, level or vim.log.levels.INFO)
end

local function when_initialized(id, callback)
  local timer = (vim.uv or vim.loop).new_timer()
  local waited = 0
  timer:start(
    0,
    POLL_MS,
    vim.schedule_wrap(function()
      if timer:is_closing() then
        return
      end
      local client = vim.lsp.get_client_by_id(id)
      waited = waited + POLL_MS
      if client and not client.initialized and waited < INITIALIZE_TIMEOUT_MS then
        return
      end
      timer:close()
      if client and client.initialized then
        callback(client)
      else
        M.notify("the server did not start; see :checkhealth remanence", vim.log.levels.ERROR)
      end
    end)
  )
end

--- The root folder of the project a buffer belongs to, as the server knows it.
---@param bufnr number
---@return string|nil nil where no client is attached, or the file is in no project
function M.workspace(bufnr)
  local client = M.attached(bufnr)
  return client and client.config.root_dir or nil
end

--- Asks a client. An error is shown to the user, and `callback` is then not called.
---@param client table
---@param method string
---@param params table
---@param callback fun(result: any)
---@param failed fun(err: table)|nil given the error instead of the user
---@return fun() cancel
function M.request(client, method, params, callback, failed)
  local function answered(err, result)
    if not err then
      callback(result)
    elseif failed then
      failed(err)
    else
      M.notify(err.message, vim.log.levels.ERROR)
    end
  end
  local is_new = vim.fn.has("nvim-0.11") == 1
  local _, id
  if is_new then
    _, id = client:request(method, params, answered)
  else
    _, id = client.request(method, params, answered)
  end
  return function()
    if not id then
      return
    end
    if is_new then
      client:cancel_request(id)
    else
      client.cancel_request(id)
    end
  end
end

local function parameters(verb, argument)
  local is_empty = not argument or next(argument) == nil -- which would be sent as a list
  return { command = "remanence." .. verb, arguments = { is_empty and vim.empty_dict() or argument } }
end

--- Calls `remanence.<verb>`. An error is shown to the user, and `callback` is then not called.
---@param verb string
---@param argument table|nil the request's one object, in camelCase
---@param callback fun(result: table)
---@param opts table|nil `failed` is given the error instead of the user, `begun` a function that cancels
---@return nil
function M.call(verb, argument, callback, opts)
  opts = opts or {}
  -- Any client will do where the buffer has none: they share one memory.
  local client = M.attached(vim.api.nvim_get_current_buf()) or M.running()[1]
  local id = client and client.id or start()
  if not id then
    return M.notify("the server could not be started; see :checkhealth remanence", vim.log.levels.ERROR)
  end
  when_initialized(id, function(ready)
    local cancel = M.request(ready, "workspace/executeCommand", parameters(verb, argument), callback, opts.failed)
    if opts.begun then
      opts.begun(cancel)
    end
  end)
end

--- Calls `remanence.<verb>` on a running client and waits; for where nothing can be shown later.
---@param client table
---@param verb string
---@param timeout_ms number
---@return table|nil result, string|nil error
function M.call_and_wait(client, verb, timeout_ms)
  local answer, err
  local bufnr = vim.api.nvim_get_current_buf()
  if vim.fn.has("nvim-0.11") == 1 then
    answer, err = client:request_sync("workspace/executeCommand", parameters(verb), timeout_ms, bufnr)
  else
    answer, err = client.request_sync("workspace/executeCommand", parameters(verb), timeout_ms, bufnr)
  end
  if not answer then
    return nil, err or "no answer"
  end
  return answer.result, answer.err and answer.err.message or nil
end

return M
