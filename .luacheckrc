std = "lua51"
max_line_length = 140
globals = {}
read_globals = { "redis", "cjson" }
