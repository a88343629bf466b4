--- Completion of the prompt under the cursor, applied as the server means it.
---
--- Neovim's own completion before 0.11 inserts neither several lines nor further edits, and leaves out
--- what does not begin as was typed; a prompt is completed whole, often by several lines. So the choice is
--- offered here, and its edits are made by the LSP library. 0.11, and plugins that apply `textEdit`, need
--- none of this.
local client = require("remanence.client")

local M = {}

local OMNI_COMPLETEOPT = "menuone,noselect" -- with a first item selected, typing on would accept it

local namespace = vim.api.nvim_create_namespace("remanence.complete")

local function label(item)
  local detail = item.detail or (item.labelDetails and item.labelDetails.description)
  return detail and (item.label .. "  (" .. detail .. ")") or item.label
end

-- The text of an item. The server's snippets are text with escapes, whose further lines are yet to be indented.
local function plain(item, bufnr)
  local text = item.textEdit.newText
  if item.insertTextFormat ~= vim.lsp.protocol.InsertTextFormat.Snippet then
    return text
  end
  local first = item.additionalTextEdits and item.additionalTextEdits[1] or item.textEdit
  local row = first.range.start.line
  local indent = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1]:match("^%s*")
  return (text:gsub("\\([\\$}])", "%1"):gsub("\n([^\n])", "\n" .. indent .. "%1"))
end

-- Makes the item's edits and puts the cursor behind what was inserted.
local function apply(item, bufnr, window, encoding)
  local cursor = vim.api.nvim_win_get_cursor(window)
  local mark = vim.api.nvim_buf_set_extmark(bufnr, namespace, cursor[1] - 1, cursor[2], {})
  local edits = { vim.tbl_extend("force", item.textEdit, { newText = plain(item, bufnr) }) }
  vim.list_extend(edits, item.additionalTextEdits or {})
  vim.lsp.util.apply_text_edits(edits, bufnr, encoding)
  local behind = vim.api.nvim_buf_get_extmark_by_id(bufnr, namespace, mark, {})
  vim.api.nvim_buf_del_extmark(bufnr, namespace, mark)
  vim.api.nvim_win_set_cursor(window, { behind[1] + 1, behind[2] })
end

-- What completes the prompt before the cursor, as the server has it.
local function ask(server, window, callback)
  local params = vim.lsp.util.make_position_params(window, server.offset_encoding)
  client.request(server, "textDocument/completion", params, function(result)
    callback(result and (result.items or result) or {})
  end)
end

-- Shows the items in the menu of Insert mode. Choosing one there changes nothing yet: each stands for what is typed.
local function show_menu(items, server, bufnr, window)
  local asked = { vim.api.nvim_get_current_line(), vim.api.nvim_win_get_cursor(window) }
  local line, column = asked[1], asked[2][2]
  local first = items[1].textEdit.range.start.character
  local start = vim.lsp.util._str_byteindex_enc(line, first, server.offset_encoding)
  local entries = {}
  for index, item in ipairs(items) do
    table.insert(entries, {
      word = line:sub(start + 1, column),
      abbr = item.label,
      menu = item.detail or "",
      dup = 1,
      empty = 1,
      user_data = { remanence = index },
    })
  end
  local before = vim.o.completeopt
  vim.o.completeopt = OMNI_COMPLETEOPT
  vim.fn.complete(start + 1, entries)
  vim.api.nvim_create_autocmd("CompleteDone", {
    buffer = bufnr,
    once = true,
    callback = function()
      vim.o.completeopt = before
      local data = vim.v.completed_item.user_data
      local item = type(data) == "table" and items[data.remanence]
      vim.schedule(function()
        local now = { vim.api.nvim_get_current_line(), vim.api.nvim_win_get_cursor(window) }
        if item and vim.deep_equal(asked, now) then
          apply(item, bufnr, window, server.offset_encoding)
        end
      end)
    end,
  })
end

--- For 'omnifunc' on 0.7 to 0.10: the menu of Insert mode, `<C-y>` puts the choice into the buffer.
---@param findstart number 1 when called for the column; the items come later
---@return number|table
function M.omnifunc(findstart)
  local bufnr, window = vim.api.nvim_get_current_buf(), vim.api.nvim_get_current_win()
  local server = client.attached(bufnr)
  if findstart ~= 1 or not server then
    return findstart == 1 and -3 or {}
  end
  local asked_at = vim.api.nvim_buf_get_changedtick(bufnr)
  ask(server, window, function(items)
    local is_same = vim.api.nvim_get_current_buf() == bufnr and vim.api.nvim_buf_get_changedtick(bufnr) == asked_at
    if #items > 0 and is_same and vim.fn.mode() == "i" then
      show_menu(items, server, bufnr, window)
    end
  end)
  return -2
end

--- Offers what completes the prompt before the cursor and puts the choice into the buffer.
---@return nil
function M.complete()
  local bufnr, window = vim.api.nvim_get_current_buf(), vim.api.nvim_get_current_win()
  local server = client.attached(bufnr)
  if not server then
    return client.notify("no server is attached to this buffer", vim.log.levels.WARN)
  end
  local asked_at = vim.api.nvim_buf_get_changedtick(bufnr)
  ask(server, window, function(items)
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
