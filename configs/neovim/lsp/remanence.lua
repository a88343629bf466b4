--- What Neovim needs to know of the server, and the one place that says so: 0.11 and later read this
--- file themselves, `remanence.attach` reads it on 0.7 to 0.10. Overridden by what is given to
--- `require("remanence").setup({...})` or `vim.lsp.config("remanence", {...})`.
---
--- No `filetypes`: memory is about every language. An empty `init_options` would be sent as a JSON list
--- if it were a plain `{}`, hence `vim.empty_dict()`. What may stand there: |remanence-options|.
---@type table vim.lsp.Config on 0.11 and later
return {
  cmd = { "remanence", "lsp" },
  root_markers = { ".git" },
  workspace_required = false,
  init_options = vim.empty_dict(),
  -- 0.11's menu shows what the server offers without this too, but does not then put it into the buffer.
  on_attach = function(client, bufnr)
    if vim.lsp.completion then
      vim.lsp.completion.enable(true, client.id, bufnr)
    end
  end,
  -- 0.11 and later start nothing where this does not call `on_dir`: views of other plugins, health://, …
  root_dir = function(bufnr, on_dir)
    local name = vim.api.nvim_buf_get_name(bufnr)
    if name ~= "" and not name:match("^%a[%w+.-]+://") then
      on_dir(vim.fs.root(bufnr, vim.lsp.config.remanence.root_markers))
    end
  end,
}
