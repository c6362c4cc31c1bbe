# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What demo.sh is told with: steps, commands that are shown, processes that end with it. Makes $work, a temporary directory.

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-demo-XXXXXX")
mkdir "$work/logs"
step_number=0
step_name=start
last_log=
children=
at_end=

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
  bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
  bold='' dim='' green='' red='' plain=''
fi
mark=ok
[ -z "${HF_UTF8-}" ] || mark=$(printf '\342\234\223')

clean_up() {
  status=$?
  trap - EXIT INT TERM HUP
  [ -z "$at_end" ] || $at_end >/dev/null 2>&1 || :
  for child in $children; do kill "$child" 2>/dev/null || :; done
  wait 2>/dev/null || :
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What ends with the demo besides its children: one command.
on_end() {
  at_end=$*
}

title() {
  printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

step() {
  step_number=$((step_number + 1))
  step_name=$1
  printf '\n%s%d. %s%s\n' "$bold" "$step_number" "$1" "$plain"
}

note() {
  printf '   %s\n' "$1"
}

tick() {
  printf '   %s%s%s %s\n' "$green" "$mark" "$plain" "$1"
}

indent() {
  sed "s/^/     /"
}

fail() {
  printf '\n%sStep %d failed: %s%s\n   %s\n' "$red" "$step_number" "$step_name" "$plain" "$1" >&2
  if [ -s "${last_log:-/dev/null}" ]; then
    printf '   The end of %s:\n' "$(basename "$last_log")" >&2
    tail -n 20 "$last_log" | indent >&2
  fi
  exit 1
}

print_command() {
  printf '   %s$' "$bold"
  for word; do
    case $word in
    *[!A-Za-z0-9_./:=,@%+#-]*) printf " '%s'" "$word" ;;
    *) printf ' %s' "$word" ;;
    esac
  done
  printf '%s\n' "$plain"
}

# Runs a command, and shows it with what it says.
show() {
  print_command "$@"
  last_log=$work/logs/command
  "$@" >"$last_log" 2>&1 </dev/null || fail "exit status $?: $*"
  printf '%s' "$dim"
  indent <"$last_log"
  printf '%s' "$plain"
}

# The same, but only the lines that match.
show_grep() { # EXTENDED-REGEX COMMAND...
  pattern=$1
  shift
  print_command "$@"
  last_log=$work/logs/command
  "$@" >"$last_log" 2>&1 </dev/null || fail "exit status $?: $*"
  printf '%s' "$dim"
  grep -E "$pattern" "$last_log" | sed 's/^[[:space:]]*//' | indent
  printf '%s' "$plain"
}

# A command that must fail: that is what it is run for.
show_failing() { # WHAT-THAT-MEANS COMMAND...
  meaning=$1
  shift
  print_command "$@"
  last_log=$work/logs/command
  if "$@" >"$last_log" 2>&1 </dev/null; then
    fail "this should not have worked: $*"
  fi
  printf '%s' "$dim"
  head -n 3 "$last_log" | indent
  printf '%s' "$plain"
  tick "$meaning"
}

# The same for a command that reads a file.
show_input() { # FILE COMMAND...
  input=$1
  shift
  print_command "$@"
  last_log=$work/logs/command
  "$@" >"$last_log" 2>&1 <"$input" || fail "exit status $?: $*"
}

quiet() {
  last_log=$work/logs/command
  "$@" >"$last_log" 2>&1 </dev/null || fail "exit status $?: $*"
}

random_number() {
  od -An -N2 -tu2 /dev/urandom | tr -d ' '
}

random_pin() {
  printf '%05d%05d\n' "$(random_number)" "$(random_number)"
}

# Starts a process; its log is $work/logs/NAME.
background() { # NAME COMMAND...
  log=$work/logs/$1
  shift
  : >"$log" # before it runs: what an earlier one said is not taken for its words
  "$@" >"$log" 2>&1 </dev/null &
  children="$children $!"
}

wait_for_line() { # NAME TEXT [SECONDS]
  last_log=$work/logs/$1
  tries=$((${3-15} * 20))
  until grep -qF "$2" "$last_log"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}

# Starts a mosquitto on a free port, which becomes $port. CONF writes its configuration for the port that it is given.
start_broker() { # NAME CONF COMMAND...
  name=$1
  conf=$2
  shift 2
  attempt=0
  while [ "$attempt" -lt 10 ]; do
    attempt=$((attempt + 1))
    port=$((20000 + $(random_number) % 12000))
    "$conf" "$port" >"$work/$name.conf"
    background "$name" "$@" -c "$work/$name.conf"
    broker=$!
    last_log=$work/logs/$name
    tries=200
    while kill -0 "$broker" 2>/dev/null; do
      ! grep -q 'mosquitto version .* running' "$last_log" || return 0
      tries=$((tries - 1))
      [ "$tries" -gt 0 ] || fail "mosquitto does not come up: $* -c $name.conf"
      sleep 0.05
    done
    grep -q 'Address already in use' "$last_log" || fail "mosquitto ended: $* -c $name.conf"
  done
  fail "no free port for $name"
}

# The broker that was started last.
stop_broker() {
  kill "$broker"
  wait "$broker" 2>/dev/null || :
}

# On the port and with the configuration that it had.
start_broker_again() { # NAME COMMAND...
  name=$1
  shift
  background "$name" "$@" -c "$work/$name.conf"
  broker=$!
  wait_for_line "$name" running || fail "mosquitto does not come up again"
}

wait_for_count() { # NAME LINES [SECONDS]
  last_log=$work/logs/$1
  tries=$((${3-30} * 20))
  until [ -f "$last_log" ] && [ "$(wc -l <"$last_log")" -ge "$2" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}

# What a subscriber in the background printed, when it has got its message.
arrives() { # NAME WHERE
  wait_for_line "$1" " " || fail "no message arrived $2"
  tick "arrived $2: $(head -n 1 "$work/logs/$1")"
}
