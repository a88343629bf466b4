-- Editor settings shared by the team

vim.opt.number = true
vim.opt.shiftwidth = 2

local group = vim.api.nvim_create_augroup("format_on_save", { clear = true })

vim.api.nvim_create_autocmd("LspAttach", {
  group = group,
  callback = function(event)
    -- one formatting autocommand per buffer, however often this file is sourced
    vim.api.nvim_create_autocmd("BufWritePre", {
      group = vim.api.nvim_create_augroup("format_" .. event.buf, { clear = true }),
      buffer = event.buf,
      callback = function()
        vim.lsp.buf.format({ bufnr = event.buf, timeout_ms = 1000 })
      end,
    })
  end,
})

local recent = { "invoices.py", "money.py", "worker.py" }

local function forget(name)
  for i, value in ipairs(recent) do
    if value == name then
      -- jamais recent[i] = nil : la longueur de la table ne serait plus définie
      table.remove(recent, i)
      return
    end
  end
end

vim.keymap.set("n", "<leader>x", function() forget(vim.fn.expand("%:t")) end)
