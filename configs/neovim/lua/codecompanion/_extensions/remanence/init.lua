--- require("codecompanion").setup({ extensions = { remanence = { enabled = true } } })
return {
  setup = function()
    require("remanence.codecompanion").setup()
  end,
}
