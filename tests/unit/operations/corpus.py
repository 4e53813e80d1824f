"""Right and wrong values of every kind of field, as JSON texts, and the fields of every verb."""

import json
from typing import Any

MIB = 1024 * 1024


def _lines(text: str) -> list[str]:
    return text.split()


def _texts(*right: str) -> list[str]:
    return [json.dumps(text, ensure_ascii=False) for text in (*right, *HOSTILE, *("a" * size for size in LONG))]


#: Wrong for every field that is no object.
NEVER = _lines('null {"a":1} [[1]]')
NUMBERS = _lines('0 1 -1 1.5 5.0 1e2 -0 1e14 1e400 NaN Infinity 99999999999999 100000000000000 true "1" "0x10" [] {}')
NO_TEXTS = _lines("5 1.5 true false [] {} NaN")
HOSTILE = [
    *("", "..", "../x", "/a", "a/..", "a/./b", "a//b", "a/", "-x", "a\n", "a b", "a\x00b", "\x7f", "\x80", "é"),
    *("a\u2028", "x:y", "x:", "*", "a..b", ".a", "_a", "a/_b", "a/.b", "a/+b"),
]
LONG = [length for most in (64, 100, 160, 200, 201, 500, 4096, 65_536, MIB) for length in (most, most + 1)]
NAMES = ["a", "core/go-io/task-5", "codex:gpt-5.4", "repo:core/go-io", "a._+@#=,-b", "agent/fix", "a" * 64, "a" * 100]
NAMES += ["accounts:codex"]

#: What may stand in a field of each kind; which of them are right, the two readers must agree on.
KINDS: dict[str, list[str]] = {
    "name": [*NO_TEXTS, *_texts(*NAMES)],
    "task": [*NO_TEXTS, *_texts("fix it", "a" * MIB, "tab\tline\n", "é" * (MIB // 2), "é" * (MIB // 2) + "a")],
    "text": [*NO_TEXTS, *_texts("why?\n", "é" * 32_768, "é" * 32_769)],
    "seq": [*NO_TEXTS, *_texts("1720000000000-0", "5", "5-", "-5", "5-x", "1" * 40, "1" * 41)],
    "json": [
        *NO_TEXTS,
        *_texts(
            *_lines('null true 5 -0 -0.5e+7 1E400 [] {} {"a":[{"b":null}]} [1,2]] nulls True 05 +5 5. .5 0x10 1e -'),
            *_lines("nan NaN inf -Infinity {'a':1} {a:1} [1,] [,] // 1;2 \\u0041 é"),
            *(' {"a" :\t"x"\n} ', '"x"', '"\\u00e9\\n"', '"\\ud800"', '"\\x41"', '"a\nb"', '"a', '"a\x7f"', "5 6"),
            *("5\x00", "5\x0b", '{"a":1,"a":2}', '"\\ud83d\\ude00"', '"[[["', '"a\\"0x10"', "9" * 5000, "[" * 5000),
            *("[" * 64 + "]" * 64, "[" * 65 + "]" * 65, '{"a":' * 64 + "1" + "}" * 64, "[1]" + "," * 9),
            *('"' + "a" * 65_534 + '"', '"' + "a" * 65_535 + '"'),
        ),
    ],
    "count": NUMBERS,
    "small": [*NUMBERS, *_lines("2 9 10 99 256 257 500 501 1024 1025 10000 10001 31536000 31536001")],
    "signed": [*NUMBERS, *_lines("-9 -99999999999999 -1e14")],
    "flag": _lines('true false 0 1 "true" "" [] {}'),
    "word": _lines('"queued" "completed" "push" "pull" "queue" "refuse" "quiet" "forget" "Queued" "" "x" 5 true []'),
    "names": [
        *_lines('[] ["a"] ["a","a/b","a:b"] ["a",5] [null] ["a",""] "a" 5 {"a":1}'),
        *(json.dumps(["a"] * size) for size in (8, 9, 64, 65, 128, 129)),
    ],
    "limits": [
        *_lines('{} {"codex":5} {"codex":-1} {"codex":"5"} {"codex":null} {"a:b":1,"/":1,"":1} 5 "a" [{"a":1}] [5]'),
        *('{"co dex":1}', '{"a":1,"b":2,"b":-2}'),
        *(json.dumps({f"k{number}": 1 for number in range(size)}) for size in (4096, 4097)),
    ],
    "weights": _lines('{} {"codex":1} {"codex":1000} {"codex":1001} {"codex":0} {"a b":1} {"codex":"5"} 5 [{"a":1}]'),
    "rates": _lines('''{"codex":{}} {"codex":{"min_delay":5}} {"codex":{"min_delay":1.5}} {"/":{"reset_utc":5}}
        {"codex:big":{"min_delay":5}} {"a":5} 5 [5]'''),
    "accounts": [
        *_lines('''{} {"codex":[]} {"codex":["work","a.b_c@d+e-f"]} {"codex":["a/b"]} {"codex":["-a","..",""]} 5 [5]
        {"codex:big":["a"]} {"codex":[5]} {"codex":[null]} {"codex":"work"} {"codex":null} {"codex":{"a":1}}'''),
        *(json.dumps({"a": ["b" * size] * size}) for size in (32, 33)),
        *(json.dumps({"a": ["b" * size]}) for size in (50, 51)),
    ],
    "settings": _lines('''{} {"beat":99} {"beat":100} {"max_attempts":0} {"lease_ttl":"5m"} {"history":null}
        {"history":99} {"ageing":0} {"ageing":-1} 5 [{"beat":100}]'''),
    "asking": _lines('''{} {"host":"h1","incarnation":"i","seq":1} {"host":"h1","incarnation":"i","seq":0}
        {"host":5,"seq":1} 5 ["h1"]'''),
    "held": _lines('''[] [{"workspace":"a","token":1}] [{"workspace":"a"}] [{"workspace":"a","token":1,"pid":-1},5]
        {"a":1} [[1]]'''),
    "endings": _lines('''[] [{"workspace":"a","token":1,"status":"failed"}]
        [{"workspace":"a","token":1,"status":"running","cost_usd":-1}] 5'''),
    "ending": _lines('''{} {"workspace":"a","token":1,"status":"failed"} {"workspace":"a","status":"failed"} 5 ["a"]
        {"workspace":"a","token":1,"status":"running","cost_usd":-1}'''),
    "granted": _lines('''[] [{"workspace":"a","token":1}] [{"workspace":"a","token":1,"agent":"codex"}] [5] {"a":1} 5
        [{"workspace":"a","token":1,"agent":"codex","ending":{"workspace":"a","token":1,"status":"failed"}}]
        [{"workspace":"a","token":1,"agent":"codex","ending":{"workspace":"a","status":"running"},"lane":""}]'''),
    "tracked": _lines('''[] [{"workspace":"a","status":"blocked","pid":-5}] [{"workspace":"..","priority":10}]
        [{"workspace":"a","updated_at":1,"token":5}] [{"workspace":"a","account":"a"},{"workspace":"b","account":"a/b"}]
        [{"workspace":"a","updated_at":-1,"token":"5"}] [5,{"workspace":"b"}] {"a":1} 5'''),
}  # fmt: skip
OBJECTS = {"limits", "rates", "accounts", "weights", "settings", "asking", "ending"}
LISTS = {"names", "held", "endings", "tracked", "granted"}
#: verb -> (a question that is right, field -> kind)
VERBS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "submit": ({"workspace": "w"}, {
        "workspace": "name", "agent": "name", "task": "task", "repo": "name", "org": "name", "branch": "name",
        "priority": "small", "source": "name", "dir": "name", "host": "name", "labels": "names", "keys": "names",
        "not_before": "count", "deadline": "count", "asker": "name", "ttl": "count", "else": "word", "again": "flag",
        "id": "name",
    }),
    "claim": ({"host": "h1", "incarnation": "i", "seq": 1}, {
        "host": "name", "incarnation": "name", "seq": "count", "count": "count",
    }),
    "renew": ({"host": "h1", "incarnation": "i"}, {
        "host": "name", "incarnation": "name", "machine": "name", "pools": "names", "labels": "names", "slots": "small",
        "mode": "word", "held": "held", "endings": "endings", "epoch": "count", "trouble": "name",
    }),
    "restore": ({"host": "h1", "incarnation": "i", "runs": []}, {
        "host": "name", "incarnation": "name", "machine": "name", "runs": "granted",
    }),
    "complete": ({"workspace": "w", "status": "failed"}, {
        "workspace": "name", "token": "count", "status": "word", "verdict": "name", "exit_code": "signed",
        "question": "text", "pr_url": "name", "retry_after": "small", "session": "name", "cost_usd": "count",
        "receipt": "text",
        "as_of": "seq", "claim": "asking",
    }),
    "confirm": ({"workspace": "w", "token": 1}, {"workspace": "name", "token": "count", "pid": "count"}),
    "kill": ({"workspace": "w"}, {
        "workspace": "name", "agent": "name", "repo": "name", "host": "name", "all": "flag", "by": "name",
        "reason": "name", "cursor": "name",
    }),
    "cancel": ({"workspace": "w"}, {"workspace": "name", "status": "word", "by": "name", "cursor": "name"}),
    "retry": ({"workspace": "w"}, {
        "workspace": "name", "status": "word", "by": "name", "cursor": "name", "answer": "text", "agent": "name",
        "front": "flag", "not_before": "count", "deadline": "count",
    }),
    "prioritize": ({"workspace": "w", "priority": 5}, {"workspace": "name", "priority": "small", "by": "name"}),
    "track": ({"workspaces": []}, {"workspaces": "tracked", "host": "name"}),
    "freeze": ({}, {"key": "name", "by": "name", "reason": "name", "until": "count"}),
    "thaw": ({}, {"key": "name", "by": "name"}),
    "back_off": ({"key": "codex", "for": 5}, {
        "key": "name", "until": "count", "for": "count", "clear": "flag", "at_least": "flag", "reason": "name",
        "by": "name",
    }),
    "limit": ({"key": "codex", "limit": 5}, {"key": "name", "limit": "count", "clear": "flag", "by": "name"}),
    "apply": ({}, {
        "limits": "limits", "rates": "rates", "accounts": "accounts", "weights": "weights", "settings": "settings",
        "default_agent": "name", "by": "name", "if_new": "flag", "thaw": "flag", "hosts": "names",
    }),
    "host": ({"host": "h1", "action": "quiet"}, {"host": "name", "action": "word", "dead": "flag", "by": "name"}),
    "reap": ({}, {"limit": "small", "faults": "count"}),
    "faults": ({"keys": []}, {"keys": "names", "cursor": "name"}),
    "mend": ({"keys": []}, {"keys": "names", "cursor": "name", "by": "name"}),
    "push": ({"channel": "a"}, {"channel": "name", "data": "json", "id": "name"}),
    "status": ({}, {}),
    "backup": ({}, {}),
    "query": ({}, {
        "name": "name", "status": "word", "repo": "name", "agent": "name", "host": "name", "after": "count",
        "before": "count", "recent": "flag", "names": "flag", "cursor": "name", "count": "small",
    }),
    "explain": ({"workspace": "w"}, {"workspace": "name", "what_if": "limits"}),
    "what_if": ({"limits": {"codex": 5}}, {"limits": "limits", "clear": "names", "count": "small"}),
    "hosts": ({}, {}),
}  # fmt: skip


#: verb, field -> (what stands there when it is right, in a list or under a name, and the kinds of its own fields)
SHAPES: dict[tuple[str, str], tuple[str, dict[str, Any], dict[str, str]]] = {
    ("renew", "held"): ("[%s]", {"workspace": "a", "token": 1}, {
        "workspace": "name", "token": "count", "pid": "count",
    }),
    ("renew", "endings"): ("[%s]", {"workspace": "a", "token": 1, "status": "failed"}, {
        "workspace": "name", "token": "count", "status": "word", "verdict": "name", "exit_code": "signed",
        "question": "text", "pr_url": "name", "retry_after": "small", "session": "name", "cost_usd": "count",
        "receipt": "text",
    }),
    ("restore", "runs"): ("[%s]", {"workspace": "a", "token": 1, "agent": "codex"}, {
        "workspace": "name", "token": "count", "agent": "name", "lane": "name", "task": "task", "repo": "name",
        "org": "name", "branch": "name", "source": "name", "dir": "name", "session": "name", "account": "name",
        "attempt": "count", "started_at": "count", "pid": "count", "stilled": "flag", "ending": "ending",
    }),
    ("track", "workspaces"): ("[%s]", {"workspace": "a"}, {
        "workspace": "name", "status": "word", "agent": "name", "task": "task", "repo": "name", "org": "name",
        "branch": "name", "source": "name", "dir": "name", "question": "text", "pr_url": "name", "session": "name",
        "host": "name", "priority": "small", "runs": "count", "started_at": "count", "pid": "signed",
        "exit_code": "signed", "verdict": "name", "updated_at": "count", "token": "count", "account": "name",
    }),
    ("complete", "claim"): ("%s", {"host": "h1", "incarnation": "i", "seq": 1}, {
        "host": "name", "incarnation": "name", "seq": "count", "count": "count",
    }),
    ("apply", "settings"): ("%s", {}, {
        "lease_ttl": "small", "beat": "small", "kill_grace": "count", "max_attempts": "count", "spawn_timeout": "small",
        "history": "count", "ageing": "count",
    }),
    ("apply", "rates"): ('{"codex":%s}', {"min_delay": 5}, {
        "reset_utc": "name", "daily_limit": "count", "min_delay": "count", "sustained_delay": "count",
        "burst_window": "count", "burst_delay": "count",
    }),
}  # fmt: skip


def question(base: dict[str, Any], values: dict[str, str]) -> str:
    """The JSON text of a right question with some of its fields replaced by JSON texts."""
    kept = {field: json.dumps(value) for field, value in base.items()} | values
    return "{" + ",".join(f"{json.dumps(field)}:{text}" for field, text in kept.items()) + "}"


def values(kind: str) -> list[str]:
    """The values to try in a field of a kind.

    Without the empty list where an object belongs, and the other way round: they are one to the server's JSON reader.
    """
    empty = {"[]"} if kind in OBJECTS else {"{}"} if kind in LISTS else set()
    more = ["null", "[[1]]"] if kind in OBJECTS else NEVER
    return [text for text in (*KINDS[kind], *more) if text not in empty]
