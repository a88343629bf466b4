--- Neovim 0.7 to 0.10, which have no vim.lsp.enable: one client per project root, kept by hand.
local M = {}

local config
local id_of_root = {} -- root, or "" for files outside any project → client id

---@return table config the shipped one with the user's over it
function M.config()
  if not config then
    M.configure({})
  end
  return config
end

---@param opts table
---@return nil
function M.configure(opts)
  local shipped = vim.api.nvim_get_runtime_file("lsp/remanence.lua", false)[1]
  assert(shipped, "lsp/remanence.lua is not on 'runtimepath'")
  config = vim.tbl_deep_extend("force", dofile(shipped), opts)
end

--- The nearest folder at or above `path` that holds one of the root markers.
---@param path string a file or a folder
---@return string|nil
function M.root(path)
  local folder = vim.fn.isdirectory(path) == 1 and path or vim.fn.fnamemodify(path, ":p:h")
  while true do
    for _, marker in ipairs(M.config().root_markers) do
      local candidate = folder .. "/" .. marker
      if vim.fn.isdirectory(candidate) == 1 or vim.fn.filereadable(candidate) == 1 then
        return folder
      end
    end
    local parent = vim.fn.fnamemodify(folder, ":h")
    if parent == folder then
      return nil
    end
    folder = parent
  end
end

--- The client of `root`, started if it is not running.
---@param root string|nil
---@return number|nil id nil when the server could not be started; Neovim has then said why
function M.start(root)
  local key = root or ""
  local id = id_of_root[key]
  if id and vim.lsp.get_client_by_id(id) then
    return id
  end
  id = vim.lsp.start_client(vim.tbl_extend("force", M.config(), {
    name = "remanence",
    root_dir = root,
    workspace_folders = root and { { uri = vim.uri_from_fname(root), name = root } } or nil,
  }))
  id_of_root[key] = id
  return id
end

local function attach(bufnr)
  local name = vim.api.nvim_buf_get_name(bufnr)
  local wanted = M.config().filetypes
  if vim.bo[bufnr].buftype ~= "" or name == "" or name:match("^%a[%w+.-]+://") then
    return
  end
  if wanted and not vim.tbl_contains(wanted, vim.bo[bufnr].filetype) then
    return
  end
  local id = M.start(M.root(name))
  if id then
    vim.lsp.buf_attach_client(bufnr, id)
  end
end

---@param opts table
---@return nil
function M.setup(opts)
  M.configure(opts)
  local group = vim.api.nvim_create_augroup("remanence.attach", { clear = true })
  vim.api.nvim_create_autocmd("FileType", {
    group = group,
    callback = function(event)
      attach(event.buf)
    end,
  })
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(bufnr) and vim.bo[bufnr].filetype ~= "" then
      attach(bufnr)
    end
  end
end

return M
