-- Stands in for CodeCompanion, which cannot be installed where the tests run: the public calls, the event
-- and the fields of a chat that Remanence uses, as they are in its source (19.x). Nothing else of it.
local M = {}

local chats = {}

-- Chat.new: a number from an unseeded generator is its id.
function M.chat(id, buffer_context)
  local bufnr = vim.api.nvim_create_buf(false, true)
  chats[bufnr] = { id = id, bufnr = bufnr, cycle = 1, messages = {}, opts = {}, buffer_context = buffer_context }
  return bufnr
end

-- Chat:add_message
function M.add_message(bufnr, message, opts)
  local chat = chats[bufnr]
  message.opts = vim.tbl_extend("force", { visible = true }, opts or {})
  message.context, message.opts.context = message.opts.context, nil
  message._meta = { cycle = chat.cycle, id = vim.fn.sha256(message.role .. (message.content or "")), index = #chat.messages + 1 }
  table.insert(chat.messages, message)
end

-- Chat:regenerate of the last answer, up to the new request
function M.regenerate(bufnr)
  table.remove(chats[bufnr].messages)
  chats[bufnr].cycle = chats[bufnr].messages[#chats[bufnr].messages]._meta.cycle
end

-- Chat:clear
function M.clear(bufnr)
  chats[bufnr].messages, chats[bufnr].cycle = {}, 1
end

-- The end of Chat:done: the next turn begins before the event is fired.
function M.done(bufnr)
  chats[bufnr].cycle = chats[bufnr].cycle + 1
  vim.api.nvim_exec_autocmds("User", { pattern = "CodeCompanionChatDone", data = { bufnr = bufnr, id = chats[bufnr].id } })
end

function M.set_model(bufnr, model)
  _G.codecompanion_chat_metadata = { [bufnr] = { adapter = { name = "Ollama", model = model } } }
end

function M.save_as(bufnr, save_id)
  chats[bufnr].opts.save_id = save_id
end

function M.buf_get_chat(bufnr)
  return chats[bufnr]
end

return M
