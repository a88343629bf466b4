--- Remanence in Neovim 0.7 and later.
local M = {}

--- Turns the server on for every file, and creates the commands.
---@param opts table|nil fields of vim.lsp.Config (cmd, init_options, filetypes, root_markers, …) to override
---@return nil
function M.setup(opts)
  require("remanence.commands").create()
  if vim.lsp.config and vim.lsp.enable then
    vim.lsp.config("remanence", opts or {})
    vim.lsp.enable("remanence")
  else
    require("remanence.attach").setup(opts or {})
  end
end

return M
