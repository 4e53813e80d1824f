#!/bin/sh
# A service that speaks only redis-cli and lives by docs/verbs.md.
#
#   service.sh host NAME POOL COUNT        registers, submits two workspaces, and runs what it is granted until COUNT ended
#   service.sh asker NAME WORKSPACE AGENT  asks for one workspace, and waits until somebody says that it ended
#   service.sh push NAME POOL HOW          runs what it is told to, until it is killed; HOW it says that it starts a run:
#                                          confirm, report, never. It ends each run at once but one with the task `hold`
#
# CLI is the redis-cli to call (words), ROOT the namespace. It prints what it does, a line each.
set -eu
pipe=$(mktemp -u)

ask() { $CLI FCALL "dispatch_$1" 1 "$ROOT" "$2"; }
text() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
number() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }

listen() { # on a channel; a message of the channel is a line "message", the channel, the text
  mkfifo "$pipe"
  $CLI SUBSCRIBE "$ROOT:$1" >"$pipe" &
  listener=$!
  exec 3<"$pipe"
  rm "$pipe"
  trap 'kill $listener 2>/dev/null || true' EXIT
  hear subscribe
}

hear() {
  while read -r line <&3; do
    if [ "$line" = "$1" ]; then return 0; fi
  done
  return 1
}

as_host() {
  name=$1 pool=$2 left=$3
  me="\"host\":\"$name\",\"incarnation\":\"$$\""
  listen "poke:$name"
  ask renew "{$me,\"pools\":[\"$pool\"],\"slots\":1}" | text outcome
  for task in one two; do ask submit "{\"workspace\":\"$name/$task\",\"agent\":\"$pool\",\"task\":\"$task\"}" | text outcome; done
  seq=1
  answer=$(ask claim "{$me,\"seq\":$seq}")
  while :; do
    workspace=$(echo "$answer" | text workspace)
    if [ -z "$workspace" ]; then
      if [ "$left" -le 0 ]; then break; fi
      echo "waits"
      hear message
      seq=$((seq + 1))
      answer=$(ask claim "{$me,\"seq\":$seq}")
      continue
    fi
    token=$(echo "$answer" | number token)
    echo "runs $workspace $(echo "$answer" | text task)"
    ask renew "{$me,\"held\":[{\"workspace\":\"$workspace\",\"token\":$token,\"pid\":$$}]}" | number ttl
    seq=$((seq + 1)) left=$((left - 1))
    answer=$(ask complete "{\"workspace\":\"$workspace\",\"token\":$token,\"status\":\"completed\",\"exit_code\":0,
      \"claim\":{$me,\"seq\":$seq}}")
    echo "$answer" | text outcome
  done
  ask host "{\"host\":\"$name\",\"action\":\"forget\"}" | text state
}

as_push() {
  name=$1
  me="\"host\":\"$name\",\"incarnation\":\"$$\""
  listen bus
  ask renew "{$me,\"pools\":[\"$2\"],\"slots\":1,\"mode\":\"push\"}" | text outcome
  while sleep 1; do ask renew "{$me}" >/dev/null; done & # without a beat it is silent, and given nothing
  while read -r line <&3; do
    case $line in *'"type":"SpawnQueued"'*) ;; *) continue ;; esac
    case $line in *"\"host\":\"$name\""*) ;; *) continue ;; esac
    workspace=$(echo "$line" | text workspace) token=$(echo "$line" | number token) task=$(echo "$line" | text task)
    run="\"workspace\":\"$workspace\",\"token\":$token"
    case $3 in
      confirm) if [ "$(ask confirm "{$run,\"pid\":$$}" | text outcome)" != confirmed ]; then continue; fi ;;
      report) $CLI PUBLISH "$ROOT:bus" "{\"type\":\"AgentStarted\",$run}" >/dev/null ;;
      never) continue ;;
    esac
    if [ "$task" = hold ]; then continue; fi
    $CLI PUBLISH "$ROOT:bus" "{\"type\":\"AgentCompleted\",$run,\"status\":\"completed\"}" >/dev/null
  done
}

as_asker() {
  answer=$(ask submit "{\"workspace\":\"$2\",\"agent\":\"$3\",\"asker\":\"$1\",\"ttl\":60000,\"else\":\"refuse\",\"id\":\"r1\"}")
  echo "$answer" | text outcome
  status=running
  while [ "$status" = running ]; do
    $CLI XREAD BLOCK 200 STREAMS "$ROOT:events" '$' >/dev/null # any new fact may be its end
    status=$($CLI HGET "$ROOT:workspace:$2" status)
  done
  echo "$status"
}

role=$1
shift
"as_$role" "$@"
