--- Facts, decisions, training and its adapters, as read-only buffers.
local client = require("remanence.client")
local view = require("remanence.view")
local absent = client.absent

local M = {}

local SHOWN_FACTS = 12

local function one_line(text)
  return (text:gsub("%s+", " "))
end

local function date(at)
  return absent(at) and "?" or view.date(at)
end

---@param command table what vim.api.nvim_create_user_command gives
---@return nil
function M.facts(command)
  client.call("facts", { text = command.args, state = "all" }, function(answer)
    local lines = { "# Facts", "" }
    for _, fact in ipairs(answer.facts) do
      local held = absent(fact.validUntil) and "since " .. date(fact.validFrom)
        or date(fact.validFrom) .. " to " .. date(fact.validUntil)
      table.insert(lines, ("- %s (%s)"):format(one_line(fact.text), held))
      table.insert(lines, "  from: " .. one_line(fact.words))
    end
    vim.list_extend(lines, { "", ("%d hold in all, %d memories wait to be read."):format(answer.current, answer.unread) })
    view.show("facts", table.concat(lines, "\n"))
  end)
end

--- With "undo N" or "redo N" first takes a decision back, or does it again.
---@param command table
---@return nil
function M.decisions(command)
  local action, number = command.fargs[1], tonumber(command.fargs[2])
  local request = {}
  if action == "undo" or action == "redo" then
    request[action] = number
  elseif action then
    return client.notify("undo or redo, and a decision's number", vim.log.levels.WARN)
  end
  client.call("decisions", next(request) and request or nil, function(answer)
    local lines = { "# Decisions", "" }
    for _, each in ipairs(answer.decisions) do
      local words = ("- %d %s, %s, %s: %s"):format(each.id, each.action, each.state, date(each.decidedAt), one_line(each.text))
      table.insert(lines, words)
      table.insert(lines, ("  over: %s (%s)"):format(one_line(each.olderText), one_line(each.reason)))
    end
    view.show("decisions", table.concat(lines, "\n"))
  end)
end

local function duration(seconds)
  return seconds < 120 and ("%.0f s"):format(seconds) or ("%.0f min"):format(seconds / 60)
end

local function plan_lines(plan)
  local lines = { "# Training", "", ("Learns %d facts, repeats %d:"):format(#plan.facts, plan.known), "" }
  for index, fact in ipairs(plan.facts) do
    if index > SHOWN_FACTS then
      table.insert(lines, ("- … and %d more"):format(#plan.facts - SHOWN_FACTS))
      break
    end
    table.insert(lines, "- " .. one_line(fact))
  end
  local from = absent(plan.parent) and "" or ", on from " .. plan.parent
  vim.list_extend(lines, { "", "On " .. plan.base .. from })
  local takes = "At most about %s and %d MB, by the recipe %s."
  table.insert(lines, takes:format(duration(plan.seconds), plan.memoryMb, plan.recipe))
  for _, name in ipairs({ "note", "refusal" }) do
    if not absent(plan[name]) then
      table.insert(lines, plan[name])
    end
  end
  return lines
end

local function started(answer)
  if not absent(answer.note) then
    client.notify(answer.note)
  end
  if not absent(answer.jobId) then
    client.notify("started as job " .. answer.jobId .. "; see :RemanenceJobs, :RemanenceCancel ends it")
  end
end

--- Shows the plan, then asks; with ! begins at once.
---@param command table
---@return nil
function M.train(command)
  if command.bang then
    return client.call("train", vim.empty_dict(), started)
  end
  client.call("train", { dryRun = true }, function(answer)
    view.show("training", table.concat(plan_lines(answer.plan), "\n"))
    if not absent(answer.plan.refusal) then
      return
    end
    vim.ui.select({ "Train", "Not now" }, { prompt = "Train the language model?" }, function(choice)
      if choice == "Train" then
        client.call("train", vim.empty_dict(), started)
      end
    end)
  end)
end

local function adapter_lines(adapters)
  local lines = { "# Adapters", "" }
  for _, each in ipairs(adapters) do
    local words = "- %s%s: %s, %d facts, %s, %s"
    local mark = each.state == "active" and "* " or ""
    table.insert(lines, words:format(mark, each.id, each.state, each.facts, each.recipe, date(each.createdAt)))
    for _, side in ipairs({ "base", "base with recall", "adapter", "adapter with recall" }) do
      local shares = {}
      for kind, score in pairs(each.evaluation[side] or {}) do
        table.insert(shares, ("%s %.0f %%"):format(kind, score.exact * 100))
      end
      table.sort(shares)
      if #shares > 0 then
        table.insert(lines, "  " .. side .. ": " .. table.concat(shares, ", "))
      end
    end
    for _, reason in ipairs(each.reasons) do
      table.insert(lines, "  " .. reason)
    end
  end
  if #adapters == 0 then
    table.insert(lines, "There are none: :RemanenceTrain makes one.")
  end
  return lines
end

--- [action [id [other]]]: without one, or with "compare", shows adapters; what the others did is told.
---@param command table
---@return nil
function M.adapters(command)
  local action, id, other = command.fargs[1], command.fargs[2], command.fargs[3]
  local request = action and { action = action, id = id, other = other }
  if action == "export" then
    request = { action = action, id = id, path = vim.fn.fnamemodify(other or ".", ":p") }
  end
  client.call("adapters", request, function(answer)
    if not absent(answer.note) then
      client.notify(answer.note)
    end
    for _, file in ipairs(answer.files) do
      client.notify("written: " .. file)
    end
    if not absent(answer.jobId) then
      return client.notify("job " .. answer.jobId .. "; see :RemanenceJobs")
    end
    view.show("adapters", table.concat(adapter_lines(answer.adapters), "\n"))
  end)
end

return M
