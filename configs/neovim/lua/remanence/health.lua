--- :checkhealth remanence
local M = {}

local STATUS_TIMEOUT_MS = 5000

-- 0.10 renamed them.
local health = vim.health or require("health")
local start = health.start or health.report_start
local ok = health.ok or health.report_ok
local warn = health.warn or health.report_warn
local fail = health.error or health.report_error

local function command()
  if vim.lsp.config and vim.lsp.enable then
    return vim.lsp.config.remanence.cmd
  end
  return require("remanence.attach").config().cmd
end

local function check_neovim()
  local version = vim.version()
  local words = ("Neovim %d.%d.%d"):format(version.major, version.minor, version.patch)
  if vim.fn.has("nvim-0.7") == 1 then
    ok(words)
  else
    fail(words .. " is too old: 0.7 or later is needed")
  end
end

local function check_executable()
  local cmd = command()
  if type(cmd) ~= "table" then
    return ok("the server is reached through a function given as `cmd`")
  end
  if vim.fn.executable(cmd[1]) == 0 then
    return fail("`" .. cmd[1] .. "` is not found", {
      "pipx install remanence",
      'or give its path: require("remanence").setup({ cmd = { "/…/remanence", "lsp" } })',
    })
  end
  local path = vim.fn.exepath(cmd[1])
  if cmd[2] ~= "lsp" then
    return ok("server: " .. path) -- started some other way (python -m remanence), so --version is not its to answer
  end
  local version = vim.trim(vim.fn.system({ cmd[1], "--version" }))
  if vim.v.shell_error == 0 then
    ok(version .. " at " .. path)
  else
    fail("`" .. path .. " --version` failed: " .. version)
  end
end

local function check_status(client)
  local status, err = require("remanence.client").call_and_wait(client, "status", STATUS_TIMEOUT_MS)
  if not status then
    return fail("client " .. client.id .. ": the engine does not answer: " .. tostring(err), { "remanence doctor" })
  end
  local words = "client %d: memories: %d, not yet indexed: %d, kept in %s"
  ok(words:format(client.id, status.exchanges, status.pending, status.home))
  if not require("remanence.client").absent(status.degraded) then
    warn(status.degraded, { "remanence doctor" })
  end
end

---@return nil
function M.check()
  start("Remanence")
  check_neovim()
  check_executable()
  local clients = require("remanence.client").running()
  if #clients == 0 then
    warn("no client is running", { 'call require("remanence").setup() and open a file' })
  end
  for _, client in ipairs(clients) do
    check_status(client)
  end
end

return M
