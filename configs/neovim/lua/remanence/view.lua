--- Memories, and answers in words, as read-only scratch buffers and a quickfix list.
local client = require("remanence.client")

local M = {}

local function lines_of(text)
  return vim.split((text:gsub("\r\n?", "\n")), "\n", { plain = true })
end

local function present(value)
  return not client.absent(value) and value ~= ""
end

---@param at number|nil epoch milliseconds
---@return string empty where it is not known
function M.date(at)
  return present(at) and tostring(os.date("!%Y-%m-%d", math.floor(at / 1000))) or ""
end

local function joined(parts, separator)
  return table.concat(vim.tbl_filter(present, parts), separator)
end

local function provenance(memory)
  return joined({ M.date(memory.askedAt), memory.tool, memory.model }, " · ")
end

---@param memory table one of the memories of remanence.recall
---@return string[]
local function markdown(memory)
  local lines = { "# " .. (lines_of(memory.question)[1] or ""), "", "*" .. provenance(memory) .. "*", "" }
  vim.list_extend(lines, { "## Question", "" })
  vim.list_extend(lines, lines_of(memory.question))
  vim.list_extend(lines, { "", "## Answer", "" })
  vim.list_extend(lines, lines_of(memory.answer))
  if #memory.why > 0 then
    vim.list_extend(lines, { "", "## Why it is here", "" })
    for _, reason in ipairs(memory.why) do
      table.insert(lines, "- " .. table.concat(lines_of(reason), " "))
    end
  end
  return lines
end

--- A read-only buffer named `name`, made or filled anew.
---@param name string
---@param lines string[]
---@param filetype string
---@return number bufnr
local function scratch(name, lines, filetype)
  local bufnr = vim.fn.bufadd(name)
  vim.bo[bufnr].buftype = "nofile" -- before the file type, so that no language server attaches
  vim.bo[bufnr].bufhidden = "hide"
  vim.bo[bufnr].swapfile = false
  vim.bo[bufnr].buflisted = false
  vim.bo[bufnr].modeline = false -- what was remembered is text, never a setting
  vim.fn.bufload(bufnr)
  vim.bo[bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines)
  vim.bo[bufnr].modifiable = false
  vim.bo[bufnr].modified = false
  vim.bo[bufnr].filetype = filetype
  return bufnr
end

--- Opens a window on a read-only buffer.
---@param name string
---@param text string
---@return number bufnr
function M.show(name, text)
  local bufnr = scratch("remanence://" .. name, lines_of(text), "markdown")
  local window = vim.fn.bufwinid(bufnr)
  if window ~= -1 then
    vim.api.nvim_set_current_win(window)
  else
    vim.cmd("belowright sbuffer " .. bufnr)
  end
  return bufnr
end

--- Opens a window on a read-only buffer that grows at its end.
---@param name string
---@param text string what it begins with
---@return fun(text: string) append, number bufnr
function M.stream(name, text)
  local bufnr = M.show(name, text)
  local function append(more)
    if more == "" or not vim.api.nvim_buf_is_loaded(bufnr) then
      return
    end
    local last = vim.api.nvim_buf_line_count(bufnr)
    local column = #vim.api.nvim_buf_get_lines(bufnr, last - 1, last, false)[1]
    vim.bo[bufnr].modifiable = true
    vim.api.nvim_buf_set_text(bufnr, last - 1, column, last - 1, column, lines_of(more))
    vim.bo[bufnr].modifiable = false
    vim.bo[bufnr].modified = false
    for _, window in ipairs(vim.fn.win_findbuf(bufnr)) do
      if vim.api.nvim_win_get_cursor(window)[1] == last then -- it follows unless the reader went up
        vim.api.nvim_win_set_cursor(window, { vim.api.nvim_buf_line_count(bufnr), 0 })
      end
    end
  end
  return append, bufnr
end

-- The quickfix window's lines: what an entry says, without its buffer's name.
local function quickfix_text(info)
  local items = vim.fn.getqflist({ id = info.id, items = 0 }).items
  local texts = {}
  for index = info.start_idx, info.end_idx do
    table.insert(texts, items[index].text)
  end
  return texts
end

--- Puts memories into the quickfix list, best first; each entry opens the memory.
---@param query string
---@param memories table[]
---@return nil
function M.list(query, memories)
  local items = {}
  for _, memory in ipairs(memories) do
    local bufnr = scratch("remanence://memory/" .. memory.id, markdown(memory), "markdown")
    vim.b[bufnr].remanence_id = memory.id
    local text = provenance(memory) .. "  " .. lines_of(memory.question)[1]
    table.insert(items, { bufnr = bufnr, lnum = 1, text = text })
  end
  vim.fn.setqflist({}, " ", {
    title = "Remanence: " .. query,
    items = items,
    quickfixtextfunc = quickfix_text,
  })
  vim.cmd("botright copen")
end

--- The memory at hand: the one shown, or the quickfix entry under the cursor.
---@return string|nil id
function M.memory_at_hand()
  local bufnr = vim.api.nvim_get_current_buf()
  if vim.bo[bufnr].buftype == "quickfix" then
    local entry = vim.fn.getqflist()[vim.fn.line(".")]
    bufnr = entry and entry.bufnr or bufnr
  end
  return vim.b[bufnr].remanence_id
end

local function buffer_of(id)
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    if vim.b[bufnr].remanence_id == id then
      return bufnr
    end
  end
end

-- Something else for the windows of a buffer that goes away, so that no window closes with it.
local function replacement(bufnr)
  local alternate = vim.fn.bufnr("#")
  if alternate ~= -1 and alternate ~= bufnr and vim.fn.buflisted(alternate) == 1 then
    return alternate
  end
  return vim.api.nvim_create_buf(true, false)
end

--- Takes forgotten memories out of buffers and the quickfix list: they are not to be read there either.
---@param ids string[]
---@return nil
function M.drop(ids)
  for _, id in ipairs(ids) do
    local bufnr = buffer_of(id)
    if bufnr then
      local kept = vim.tbl_filter(function(item)
        return item.bufnr ~= bufnr
      end, vim.fn.getqflist())
      vim.fn.setqflist({}, "r", { items = kept })
      for _, window in ipairs(vim.fn.win_findbuf(bufnr)) do
        vim.api.nvim_win_set_buf(window, replacement(bufnr))
      end
      vim.api.nvim_buf_delete(bufnr, { force = true })
    end
  end
end

return M
