--- Captures CodeCompanion's chats: each time a turn ends, its question and answer are remembered.
---
--- Relies on what CodeCompanion documents (the event CodeCompanionChatDone, buf_get_chat) and on the
--- shape of its messages: role, content, opts.visible, context, _meta.cycle (one per turn), _meta.id.
local M = {}

-- CodeCompanion draws its chat ids from an unseeded generator: they repeat from one Neovim to the next.
local SESSION = ("%d-%d"):format(os.time(), vim.fn.getpid())

local function text_of(message)
  return type(message.content) == "string" and vim.trim(message.content) or ""
end

local function shown(message)
  return not (message.opts and message.opts.visible == false) and not message.context
end

-- The turn a message belongs to; versions without cycles number their turns by their questions.
local function number_turns(messages)
  local turns, count = {}, 0
  local previous
  for index, message in ipairs(messages) do
    if message.role == "user" and previous ~= "user" then
      count = count + 1
    end
    turns[index] = message._meta and message._meta.cycle or message.cycle or count
    previous = message.role ~= "system" and message.role or previous
  end
  return turns
end

--- The last turn: what the user typed, and all that the model said to it (a tool loop answers in parts).
---@param messages table[]
---@return table|nil turn {question, answer, number, first} or nil when the last question has no answer
function M.last_turn(messages)
  local turns = number_turns(messages)
  local last
  for index, message in ipairs(messages) do
    if message.role == "user" and shown(message) and text_of(message) ~= "" then
      last = turns[index]
    end
  end
  local questions, answers, first = {}, {}, nil
  for index, message in ipairs(messages) do
    local text = text_of(message)
    if turns[index] == last and shown(message) and text ~= "" then
      if message.role == "user" then
        first = first or message
        table.insert(questions, text)
      elseif message.role == "llm" then
        table.insert(answers, text)
      end
    end
  end
  if #questions == 0 or #answers == 0 then
    return nil
  end
  return {
    question = table.concat(questions, "\n\n"),
    answer = table.concat(answers, "\n\n"),
    number = last,
    first = first,
  }
end

local named = setmetatable({}, { __mode = "k" }) -- chat → its conversation's name

-- A name that outlives Neovim where the chat has one: its save (codecompanion-history), its agent's session.
-- Kept from the first turn on: a save that begins later must not split the conversation.
local function conversation(chat, bufnr)
  local saved = chat.opts and chat.opts.save_id or chat.acp_session_id
  named[chat] = named[chat] or tostring(saved or ("%s-%s-%d"):format(SESSION, tostring(chat.id), bufnr))
  return named[chat]
end

local function model(chat, bufnr)
  local metadata = (_G.codecompanion_chat_metadata or {})[bufnr]
  local name = chat.settings and chat.settings.model
  name = name or metadata and metadata.adapter and metadata.adapter.model
  return type(name) == "string" and name or nil
end

-- The file the chat was opened from.
local function origin(chat)
  local bufnr = chat.buffer_context and chat.buffer_context.bufnr
  if not bufnr or not vim.api.nvim_buf_is_valid(bufnr) or vim.bo[bufnr].buftype ~= "" then
    return {}
  end
  if vim.api.nvim_buf_get_name(bufnr) == "" then
    return {}
  end
  return { uri = vim.uri_from_bufnr(bufnr), languageId = vim.bo[bufnr].filetype }
end

--- The request that remembers the last turn of a chat.
---@param chat table
---@param bufnr number the chat's buffer
---@return table|nil
function M.exchange(chat, bufnr)
  local turn = M.last_turn(chat.messages or {})
  if not turn then
    return nil
  end
  -- Turns start again from 1 when a chat is cleared; with the question's id the key stays that turn's own,
  -- and a regenerated answer, whose question is the same message, supersedes the one before it.
  local question_id = turn.first._meta and turn.first._meta.id or turn.first.id or vim.fn.sha256(turn.question)
  local context = origin(chat)
  local opened_from = chat.buffer_context and chat.buffer_context.bufnr or bufnr
  return {
    question = turn.question,
    answer = turn.answer,
    tool = "codecompanion",
    conversationId = conversation(chat, bufnr),
    turnKey = tostring(turn.number) .. ":" .. tostring(question_id),
    model = model(chat, bufnr),
    uri = context.uri,
    languageId = context.languageId,
    workspace = require("remanence.client").workspace(opened_from) or vim.fn.getcwd(),
  }
end

--- Listens from now on. Calling it again changes nothing.
---@return nil
function M.setup()
  vim.api.nvim_create_autocmd("User", {
    group = vim.api.nvim_create_augroup("remanence.codecompanion", { clear = true }),
    pattern = "CodeCompanionChatDone",
    desc = "Remember the turn that has just ended",
    callback = function(event)
      local bufnr = event.data.bufnr
      local exchange = M.exchange(require("codecompanion").buf_get_chat(bufnr), bufnr)
      if exchange then
        require("remanence.client").call("capture", exchange, function() end)
      end
    end,
  })
end

return M
