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
    if vim.lsp.inline_completion then -- 0.12: shown as grey text; which key accepts it is the user's to map
      vim.lsp.inline_completion.enable(true, { bufnr = bufnr })
    end
  end,
  -- Answers stream into a buffer, those to code actions too.
  handlers = {
    ["$/progress"] = function(...)
      return require("remanence.ask").progress(...)
    end,
  },
  commands = {
    ["remanence.ask"] = function(command)
      require("remanence.ask").from_code_action(command)
    end,
  },
  -- 0.11 and later start nothing where this does not call `on_dir`: views of other plugins, health://, …
  root_dir = function(bufnr, on_dir)
    local name = vim.api.nvim_buf_get_name(bufnr)
    if name ~= "" and not name:match("^%a[%w+.-]+://") then
      on_dir(vim.fs.root(bufnr, vim.lsp.config.remanence.root_markers))
    end
  end,
}
