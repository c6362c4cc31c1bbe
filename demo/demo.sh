#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From no key at all to a message at the cloud, on real parts: demo.sh BUILD-DIRECTORY. Run it through './dev demo'.
#
# Everything happens in one temporary directory, which is gone at the end: device/ is what would be on the device, cloud/ what
# would be at its cloud. All ports are free ones of 127.0.0.1.
set -eu
umask 077

started=$(date +%s)
build=$(cd "$1" && pwd)
. "$(dirname "$0")/stage.sh"
mkdir "$work/device" "$work/device/tokens" "$work/cloud"
cd "$work/device"

id=demo-device
PATH=$build/src/cli:$PATH
HOLDFAST_CONFIG=$work/device/config.json
HOLDFAST_TOKEN_CONF=$work/device/token.conf
export PATH HOLDFAST_CONFIG HOLDFAST_TOKEN_CONF
token_module=$build/src/token/libholdfast-token.so

# What the cloud's operator has: a certificate authority in files.
ca_make() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ../cloud/ca.key -out ../cloud/ca.pem -days 2 \
    -subj "/CN=Demo CA" -addext "basicConstraints=critical,CA:TRUE" 2>&1
  cp ../cloud/ca.pem ca.pem
}

ca_sign() { # REQUEST CERTIFICATE
  printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >../cloud/extensions
  openssl x509 -req -in "$1" -CA ../cloud/ca.pem -CAkey ../cloud/ca.key -CAcreateserial -days 2 -extfile ../cloud/extensions \
    -out "$2" 2>&1
}

# A key in a file, for those who are not the device.
cloud_identity() { # NAME
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "../cloud/$1.key" -out "../cloud/$1.csr" \
    -subj "/CN=$1" 2>&1 && ca_sign "../cloud/$1.csr" "../cloud/$1.pem"
}

write_openssl_conf() {
  cat >openssl.cnf <<END
openssl_conf = init
[init]
providers = providers
[providers]
default = default_section
holdfast = holdfast_section
[default_section]
activate = 1
[holdfast_section]
module = $build/src/provider/holdfast.so
activate = 1
[req]
distinguished_name = name
[name]
END
}

broker_conf() { # LISTENER'S DIRECTORY NAME, KEY, PORT
  cat <<END
user root
log_dest stderr
log_type all
connection_messages true
allow_anonymous true
listener $3 127.0.0.1
cafile $work/cloud/ca.pem
certfile $work/$1.pem
keyfile $work/$2
END
}

cloud_conf() { # PORT
  broker_conf cloud/cloud cloud/cloud.key "$1"
  echo "require_certificate true"
  echo "use_identity_as_username true"
}

device_conf() { # PORT
  broker_conf device/server device/server-key.pem "$1"
  cat <<END
connection cloud
address 127.0.0.1:$cloud_port
remote_clientid $id-bridge
bridge_cafile $work/device/ca.pem
bridge_certfile $work/device/device.pem
bridge_keyfile $work/device/device-key.pem
notifications false
restart_timeout 1
topic # out 1 telemetry/ devices/$id/telemetry/
topic # in 1 commands/ devices/$id/commands/
END
}

title "Holdfast: from no key at all to a message at the cloud"
note "Everything below happens in $work, and on 127.0.0.1."

step "The device gets an HSM: a token of Holdfast's software HSM, with a PIN"
printf 'directories.tokendir = %s\n' "$work/device/tokens" >token.conf
random_pin >pin
random_pin >so-pin
show holdfast config set device.cryptoki.module_path "$token_module"
show holdfast config set device.cryptoki.pin_source "$work/device/pin"
show holdfast token init --label "$id" --so-pin-source so-pin --pin-source pin

step "It generates its keys inside the token: one for the cloud, one for its own MQTT server"
show holdfast key generate --label device-key --id 01
show holdfast key generate --label server-key --id 02
show holdfast config set device.key_uri "pkcs11:token=$id;object=device-key;type=private"

step "It signs its own certificate request, with the key in the token; the CA signs the certificate"
write_openssl_conf
quiet ca_make
OPENSSL_CONF=openssl.cnf
export OPENSSL_CONF
show openssl req -new -key "pkcs11:token=$id;object=device-key;type=private" -subj "/CN=$id" -out device.csr
show openssl req -new -key "pkcs11:token=$id;object=server-key;type=private" -subj "/CN=server of $id" -out server.csr
show openssl req -in device.csr -noout -verify -subject
unset OPENSSL_CONF
quiet ca_sign device.csr device.pem
quiet ca_sign server.csr server.pem
tick "the CA in ../cloud signed device.pem and server.pem"

step "Elsewhere, the cloud: a mosquitto that lets in nobody without a certificate"
quiet cloud_identity cloud
quiet cloud_identity operator
start_broker cloud cloud_conf mosquitto
cloud_port=$port
cloud="-h 127.0.0.1 -p $port --cafile ca.pem --cert ../cloud/operator.pem --key ../cloud/operator.key -q 1"
tick "listening on port $cloud_port"

step "Is everything right? 'holdfast connect' checks it one by one"
show holdfast config set device.id "$id"
show holdfast config set device.cert_path "$work/device/device.pem"
show holdfast config set mqtt.url "127.0.0.1:$cloud_port"
show holdfast config set mqtt.root_cert_path "$work/device/ca.pem"
quiet holdfast config set data.path "$work/device/data"
quiet holdfast config set run.path "$work/device/run"
quiet holdfast config set mqtt.bind.port "$((20000 + $(random_number) % 12000))"
show holdfast connect mqtt
show holdfast disconnect mqtt

step "The device's own MQTT server: stock mosquitto, its two keys in the token"
note "A program that knows only key files gets a file that holds the key's URI:"
show holdfast key pem "pkcs11:token=$id;object=device-key;type=private" --out device-key.pem
show holdfast key pem "pkcs11:token=$id;object=server-key;type=private" --out server-key.pem
show cat device-key.pem
start_broker local device_conf env OPENSSL_CONF="$work/device/openssl.cnf" mosquitto
locally="-h 127.0.0.1 -p $port --cafile ca.pem -q 1"
wait_for_line local "Received CONNACK on connection" || fail "the bridge did not reach the cloud"
tick "listening on port $port, and its bridge is connected to the cloud"

step "A message from a sensor to the cloud, and one back"
# shellcheck disable=SC2086 # lists of options
{
  background operator mosquitto_sub $cloud -i operator -t "devices/$id/telemetry/#" -C 1 -W 15 -v
  background actuator mosquitto_sub $locally -i actuator -t "commands/#" -C 1 -W 15 -v
  wait_for_line cloud "Sending SUBACK to operator" || fail "the operator could not subscribe"
  wait_for_line local "Sending SUBACK to actuator" || fail "the actuator could not subscribe"
  show mosquitto_pub $locally -t telemetry/temperature -m '{"celsius": 21.5}'
  arrives operator "at the cloud"
  show mosquitto_pub $cloud -t "devices/$id/commands/fan" -m on
  arrives actuator "on the device"
}

step "Can the key be taken?"
GNUTLS_PIN=$(cat pin)
export GNUTLS_PIN
show_grep 'Object:|Type:|Label:|Flags:' p11tool --provider "$token_module" --login --list-privkeys "pkcs11:token=$id"
show_failing "its value stays in the token" p11tool --provider "$token_module" --login --export "pkcs11:token=$id;object=device-key;type=private"
show_failing "no file of the device holds a key" grep -rl "PRIVATE KEY" .

title "Done in $(($(date +%s) - started)) s. The private keys never left the token."
