#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The six steps of "Using thin-edge.io with a HSM", with Holdfast, on real parts: demo.sh BUILD-DIRECTORY. Run it through
# './dev demo'.
#
# Everything happens in one temporary directory, which is gone at the end: device/ is what would be on the device, cloud/ what
# would be at its cloud. All ports are free ones of 127.0.0.1.
set -eu
umask 077

started=$(date +%s)
build=$(cd "$1" && pwd)
. "$(dirname "$0")/stage.sh"
mkdir "$work/device" "$work/device/tokens" "$work/cloud" "$work/cloud/tokens"
cd "$work/device"

id=demo-device
PATH=$build/src/cli:$build/src/agent:$build/src/ca:$PATH
HOLDFAST_CONFIG=$work/device/config.json
HOLDFAST_TOKEN_CONF=$work/device/token.conf
export PATH HOLDFAST_CONFIG HOLDFAST_TOKEN_CONF
token_module=$build/src/token/libholdfast-token.so

# What the cloud's operator has: a token and a configuration of their own.
cloud_config=HOLDFAST_CONFIG=$work/cloud/config.json
cloud_tokens=HOLDFAST_TOKEN_CONF=$work/cloud/token.conf
at_cloud() {
  env "$cloud_config" "$cloud_tokens" "$@"
}

ca_make() {
  echo "directories.tokendir = $work/cloud/tokens" >"$work/cloud/token.conf"
  while read -r key value; do
    at_cloud holdfast config set "$key" "$value"
  done <<END
device.cryptoki.module_path $token_module
device.cryptoki.pin_source $work/cloud/pin
data.path $work/cloud
run.path $work/cloud
ca.bind.port $1
ca.server.names localhost,127.0.0.1
ca.validity.device 2d
END
  at_cloud holdfast hsm init --label ca --so-pin-source "$work/cloud/so-pin" --pin-source "$work/cloud/pin" --make-pins
  at_cloud holdfast ca init --name "Demo CA"
}

# Servers and people at the cloud have keys in files.
cloud_identity() { # NAME OPTIONS OF ca issue...
  name=$1
  shift
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../cloud/$name.key" -out "../cloud/$name.csr" \
    -subj "/CN=$name" 2>&1 && at_cloud holdfast ca issue "../cloud/$name.csr" "$@" --out "../cloud/$name.pem"
}

cloud_conf() { # PORT
  cat <<END
user root
log_dest stderr
log_type all
connection_messages true
allow_anonymous true
listener $1 127.0.0.1
cafile $work/cloud/ca/ca.pem
certfile $work/cloud/cloud.pem
keyfile $work/cloud/cloud.key
require_certificate true
use_identity_as_username true
persistence true
persistence_location $work/cloud/
END
}

# One on which nobody listens, as far as /proc tells.
free_port() {
  while number=$((20000 + $(random_number) % 12000)) && grep -qs "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$number") " /proc/net/tcp; do :; done
  echo "$number"
}

certificate_serial() {
  openssl x509 -in device.pem -noout -serial
}

messages() { # FROM TO, one a line
  seq "$1" "$2" | sed 's/^/reading /'
}

title "Holdfast: a device identity in an HSM, and a connection that lasts"
note "Everything below happens in $work, and on 127.0.0.1."

step "The cloud, elsewhere: a certificate authority whose key lies in a token, and a broker"
ca_port=$(free_port)
quiet ca_make "$ca_port"
background ca env "$cloud_config" "$cloud_tokens" holdfast-ca # env becomes it: its pid is the child's
wait_for_line ca "ready" || fail "the CA does not come up"
tick "holdfast-ca issues certificates (EST) on port $ca_port"
quiet cloud_identity cloud --server --san DNS:localhost,IP:127.0.0.1
quiet cloud_identity operator
start_broker cloud cloud_conf mosquitto
cloud_port=$port
tick "mosquitto lets in nobody without a certificate, on port $cloud_port"
cp ../cloud/ca/ca.pem ca.pem
cloud="-h localhost -p $cloud_port --cafile ca.pem --cert ../cloud/operator.pem --key ../cloud/operator.key -q 1"

step "Step 1: the device gets an HSM, and the key agent, which alone holds its PIN"
printf 'directories.tokendir = %s\n' "$work/device/tokens" >token.conf
show holdfast config set device.cryptoki.module_path "$token_module"
show holdfast config set device.cryptoki.pin_source "$work/device/pin"
show holdfast hsm init --label "$id" --so-pin-source so-pin --make-pins
background agent holdfast-agent --pkcs11-socket "$work/device/pkcs11.sock" --socket-path "$work/device/signing.sock" \
  --metrics-socket "$work/device/metrics.sock" --policy "$work/device/agent.policy"
wait_for_line agent "ready" || fail "the key agent does not come up"
tick "holdfast-agent stands in for tedge-p11-server, and for every PKCS #11 program"

step "Step 2 and 3: through the agent, with the built-in bridge"
show holdfast config set device.cryptoki.pkcs11_socket_path "$work/device/pkcs11.sock"
show holdfast config set device.cryptoki.socket_path "$work/device/signing.sock"
show holdfast config set device.cryptoki.mode socket
show holdfast config set mqtt.bridge.built_in true

step "Step 4: the private key, made in the HSM"
show holdfast hsm create-key --label device-key

step "Step 5: the device's certificate, from the CA, by a one-time password"
quiet holdfast config set device.cert_path "$work/device/device.pem"
quiet holdfast config set data.path "$work/device/data"
quiet holdfast config set run.path "$work/device/run"
quiet holdfast config set mqtt.bind.port "$(free_port)"
quiet at_cloud holdfast ca token "$id" --out "$work/device/password"
show holdfast config set est.url "https://localhost:$ca_port"
show holdfast config set est.root_cert_path "$work/device/ca.pem"
show holdfast cert enroll --device-id "$id" --one-time-password-source "$work/device/password"
show holdfast cert show

step "Step 6: connect"
show holdfast config set mqtt.url "localhost:$cloud_port"
show holdfast config set mqtt.root_cert_path "$work/device/ca.pem"
on_end holdfast core stop
show holdfast connect mqtt
local_port=$(holdfast config get mqtt.bind.port)
locally="-h 127.0.0.1 -p $local_port -q 1"

step "A message from a sensor to the cloud, and one back"
# shellcheck disable=SC2086 # lists of options
{
  background operator mosquitto_sub $cloud -i operator -t "holdfast/$id/td/#" -C 1 -W 15 -v
  background actuator mosquitto_sub $locally -i actuator -t "mqtt/cmd/#" -C 1 -W 15 -v
  wait_for_line cloud "Sending SUBACK to operator" || fail "the operator could not subscribe"
  sleep 0.3
  show mosquitto_pub $locally -t mqtt/td/temperature -m '{"celsius": 21.5}'
  arrives operator "at the cloud"
  show mosquitto_pub $cloud -t "holdfast/$id/cmd/fan" -m on
  arrives actuator "on the device"
}

step "The cloud goes away, the gateway is killed: nothing is lost"
# shellcheck disable=SC2086 # lists of options
{
  quiet mosquitto_sub $cloud -i collector -c -E -t "holdfast/$id/td/readings"
  stop_broker
  tick "the cloud is down"
  messages 1 200 >readings
  note "200 messages, acknowledged by the local broker:"
  show_input readings mosquitto_pub $locally -t mqtt/td/readings -l
  kill -9 "$(cat run/core.pid)"
  tick "holdfast-core was killed (-9)"
  quiet holdfast core start
  start_broker_again cloud mosquitto
  background collector mosquitto_sub $cloud -i collector -c -t "holdfast/$id/td/readings" -C 200 -W 30
  wait_for_count collector 200 || fail "messages are missing"
  cmp -s readings "$work/logs/collector" || fail "the messages are not what was sent, in order"
}
tick "200 of 200 arrived, in order"

step "The certificate is renewed, with a new key"
before=$(certificate_serial)
show holdfast cert renew --rotate-key
[ "$before" != "$(certificate_serial)" ] || fail "the certificate is the old one"
# shellcheck disable=SC2086 # lists of options
{
  background renewed mosquitto_sub $cloud -i renewed -t "holdfast/$id/td/renewed" -C 1 -W 15 -v
  wait_for_line cloud "Sending SUBACK to renewed" || fail "the operator could not subscribe"
  quiet mosquitto_pub $locally -t mqtt/td/renewed -m yes
  arrives renewed "at the cloud, with the new key"
}
show holdfast core status

step "Can the key be taken?"
GNUTLS_PIN=$(cat pin)
export GNUTLS_PIN
show_grep 'Object:|Type:|Label:|Flags:' p11tool --provider "$token_module" --login --list-privkeys "pkcs11:token=$id"
show_failing "its value stays in the token" p11tool --provider "$token_module" --login --export "pkcs11:token=$id;object=device-key;type=private"
show_failing "no file of the device holds a key" grep -rl "PRIVATE KEY" .

title "Done in $(($(date +%s) - started)) s. The private keys never left the tokens."
