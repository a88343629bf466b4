--- Completion of the prompt under the cursor, applied as the server means it.
---
--- Neovim's own completion (up to 0.11) takes the word before the cursor for what is completed and inserts
--- one word of plain text; a prompt is completed whole, often by several lines. So the choice is offered
--- here, and its edits are made by the LSP library. Plugins that apply `textEdit` need none of this.
local M = {}

local namespace = vim.api.nvim_create_namespace("remanence.complete")

local function label(item)
  local detail = item.detail or (item.labelDetails and item.labelDetails.description)
  return detail and (item.label .. "  (" .. detail .. ")") or item.label
end

-- Makes the item's edits and puts the cursor behind what was inserted.
local function apply(item, bufnr, window, encoding)
  local cursor = vim.api.nvim_win_get_cursor(window)
  local mark = vim.api.nvim_buf_set_extmark(bufnr, namespace, cursor[1] - 1, cursor[2], {})
  local edits = { item.textEdit }
  vim.list_extend(edits, item.additionalTextEdits or {})
  vim.lsp.util.apply_text_edits(edits, bufnr, encoding)
  local behind = vim.api.nvim_buf_get_extmark_by_id(bufnr, namespace, mark, {})
  vim.api.nvim_buf_del_extmark(bufnr, namespace, mark)
  vim.api.nvim_win_set_cursor(window, { behind[1] + 1, behind[2] })
end

--- Offers what completes the prompt before the cursor and puts the choice into the buffer.
---@return nil
function M.complete()
  local client = require("remanence.client")
  local bufnr, window = vim.api.nvim_get_current_buf(), vim.api.nvim_get_current_win()
  local server = client.attached(bufnr)
  if not server then
    return client.notify("no server is attached to this buffer", vim.log.levels.WARN)
  end
  local asked_at = vim.api.nvim_buf_get_changedtick(bufnr)
  local params = vim.lsp.util.make_position_params(window, server.offset_encoding)
  client.request(server, "textDocument/completion", params, function(result)
    local items = result and (result.items or result) or {}
    if #items == 0 then
      return client.notify("nothing remembered completes this")
    end
    vim.ui.select(items, { prompt = "Complete with", format_item = label }, function(item)
      if item and vim.api.nvim_buf_get_changedtick(bufnr) == asked_at then
        apply(item, bufnr, window, server.offset_encoding)
      end
    end)
  end)
end

return M
