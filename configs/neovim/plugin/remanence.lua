-- The commands exist as soon as this folder is on 'runtimepath', whichever way the server is turned on.
require("remanence.commands").create()
