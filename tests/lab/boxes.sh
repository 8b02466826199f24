# shellcheck shell=bash
# Starts what lives on the lab's boxes: name servers, the web bridge, and the pair that is being tested.

. "$ROOT/tests/bridge/bridge.sh"

TURN_USER=guest
TURN_PASSWORD=stile-lab-pass

# Certificates -------------------------------------------------------------------------------------------------

# lab_ca [FOLDER]: the authority that the lab's boxes and its browser trust, in $LAB/ca; or another one, in FOLDER.
lab_ca() {
    local ca=${1:-$LAB/ca}
    mkdir -p "$ca"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Stile lab CA" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$ca/ca.key" -out "$ca/ca.pem" 2>/dev/null
}

# lab_certificate FILE NAME... : FILE.pem and FILE.key for these names, signed by the lab's authority, or the one in LAB_CA.
lab_certificate() {
    local file=$1 names ca=${LAB_CA:-$LAB/ca}
    shift
    names=$(printf ',DNS:%s' "$@")
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$file.key" \
        -out "$file.csr" 2>/dev/null
    openssl x509 -req -in "$file.csr" -days 30 -CA "$ca/ca.pem" -CAkey "$ca/ca.key" -out "$file.pem" \
        -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${names#,}") 2>/dev/null
    rm "$file.csr"
}

# Name servers -------------------------------------------------------------------------------------------------

# dns_start BOX ADDRESS RECORD... : dnsmasq that knows these records (dnsmasq options) and nobody else to ask.
dns_start() {
    local box=$1 address=$2
    shift 2
    lab_spawn "$box" dns dnsmasq -k --conf-file=/dev/null --user=root --pid-file= --no-resolv --no-hosts \
        --bind-interfaces --listen-address="$address" --local-ttl=60 --log-queries --log-facility=- --local=/#/ "$@"
    need 5 "the name server on $box" lab_in "$box" sh -c "ss -Hlnu src $address | grep -q :53"
}

# The same name, two views.
lab_dns() {
    dns_start dns 10.20.0.53 --host-record="$JOIN_HOST,$BRIDGE_ADDRESS,$BRIDGE_ADDRESS6"
    dns_start guest 127.0.0.1 --host-record="$JOIN_HOST,$EDGE_PUBLIC,$EDGE_PUBLIC6"
}

# The bridge ---------------------------------------------------------------------------------------------------

# bridge_start: nginx, Janus and, behind nginx, bulk.js.
# shellcheck disable=SC2034,SC2046 # variables of bridge.sh; its commands are words
bridge_start() {
    local dir=$LAB/bridge
    BRIDGE_LISTEN=443 BRIDGE_NAMES="$JOIN_HOST bridge.example.com"
    BRIDGE_CERT=$dir/bridge.pem BRIDGE_KEY=$dir/bridge.key
    BRIDGE_BULK_PORT=8090 JANUS_ADDRESS=$BRIDGE_ADDRESS
    mkdir -p "$dir"
    [ -e "$BRIDGE_CERT" ] || lab_certificate "$dir/bridge" "$JOIN_HOST" bridge.example.com
    bridge_write "$dir"
    sed -i 's/listen 443 ssl;/listen 443 ssl; listen [::]:443 ssl;/' "$dir/nginx.conf"
    lab_spawn bridge janus $(bridge_janus "$dir")
    lab_spawn bridge bulk node "$ROOT/tests/bridge/bulk.js" 8090
    lab_spawn bridge nginx $(bridge_nginx "$dir")
    need 10 "the bridge" bridge_answers
}

bridge_answers() {
    lab_in bridge curl -sf --cacert "$LAB/ca/ca.pem" --resolve "$JOIN_HOST:443:127.0.0.1" \
        "https://$JOIN_HOST/janus/info" -o /dev/null &&
        lab_in bridge curl -sf http://127.0.0.1:8090/bulk/hello -o /dev/null
}

# The pair -----------------------------------------------------------------------------------------------------

# pair_install: the programs, and the account that they run as, on the boxes alone.
pair_install() {
    local box
    EDGE=$RUN/stile-edge CORE=$RUN/stile-core
    cp "$BUILD/stile-edge" "$BUILD/stile-core" "$RUN" || { echo "Bail out! no programs in $BUILD"; exit 1; }
    for box in edge core; do
        { grep -v ^stile: /etc/passwd; echo "stile:x:64711:64711::/nonexistent:/bin/sh"; } >"/etc/netns/$(lab_ns $box)/passwd"
        { grep -v ^stile: /etc/group; echo "stile:x:64711:"; } >"/etc/netns/$(lab_ns $box)/group"
    done
}

# pair_start: pairs core and edge with the commands that an administrator uses, runs both, waits for the first request.
pair_start() {
    pair_init
    edge_start
    core_start
    need 10 "a request through both boxes" guest_gets_through
    need 10 "the edge's own host key" grep -qF 'event="Edge Paired"' "$LAB/log/core-core.log"
}

pair_init() {
    pair_install
    [ -e "$LAB/edge1.pem" ] || lab_certificate "$LAB/edge1" "$JOIN_HOST"
    lab_in core "$CORE" init --dir "$RUN/core" --join-url "https://$JOIN_HOST" --core core1 \
        --edge "edge1=$EDGE_INNER:2222,public=$EDGE_PUBLIC" --bridge-ca "$LAB/ca/ca.pem" \
        --turn-user "$TURN_USER:$TURN_PASSWORD" --allow-peer "$LAN_NET" >"$LAB/log/core-init.log" 2>&1 ||
        { cat "$LAB/log/core-init.log" >&2; echo "Bail out! stile-core init failed"; exit 1; }
    lab_in edge "$EDGE" join "$RUN/core/edge1.bundle" --dir "$RUN/edge" --cert "$LAB/edge1.pem" \
        --key "$LAB/edge1.key" >"$LAB/log/edge-join.log" 2>&1 ||
        { cat "$LAB/log/edge-join.log" >&2; echo "Bail out! stile-edge join failed"; exit 1; }
}

edge_start() { lab_spawn edge edge "$EDGE" run --dir "$RUN/edge"; }

core_start() { lab_spawn core core "$CORE" run --dir "$RUN/core"; }

# boxes_relay : a guest takes a TURN relay and keeps it; RELAYED is its address.
boxes_relay() {
    lab_spawn guest relay turnutils_uclient -t -u "$TURN_USER" -w "$TURN_PASSWORD" -c -s -m 1 -n 100000 -z 20 -e "$BRIDGE_ADDRESS" "$EDGE_PUBLIC"
    need 10 "a relay" relay_is_there
}
relay_is_there() {
    RELAYED=$(lab_in edge "$EDGE" relay list --json --dir "$RUN/edge" | jq -er '.items[0].relayed[0]')
}

guest_gets_through() { guest_curl -f -o /dev/null --max-time 2 "https://$JOIN_HOST/bulk/hello"; }

edge_status() { lab_in edge "$EDGE" status --dir "$RUN/edge" "$@"; }

core_status() { lab_in core "$CORE" status --dir "$RUN/core" "$@"; }

# The guest ----------------------------------------------------------------------------------------------------

# guest_curl ARGUMENT... : curl in the internet, trusting the lab's authority.
guest_curl() { lab_in guest curl -sS --cacert "$LAB/ca/ca.pem" --max-time 20 "$@"; }

# guest_call TRANSPORT NAME [TURN-URL,...] : a call in a real browser, all media through TURN over TRANSPORT, or through
# these servers. What was seen goes to NAME.json in $LAB, a picture of the page to NAME.png.
guest_call() {
    local transport=$1 name=$2
    local servers=${3:-turn:$EDGE_PUBLIC:3478?transport=$transport}
    [ -e "$LAB/home/.pki" ] || lab_browser_home
    lab_in guest env HOME="$LAB/home" node "$ROOT/tests/browser/call.js" \
        --url "https://$JOIN_HOST/echotest.html" \
        --turn "$servers" --user "$TURN_USER" --password "$TURN_PASSWORD" \
        --screenshot "$LAB/$name.png" >"$LAB/$name.json" 2>"$LAB/log/guest-$name.log"
}

# A home whose certificate store has the lab's authority: the browser checks certificates as a guest's would.
lab_browser_home() {
    mkdir -p "$LAB/home/.pki/nssdb"
    certutil -N --empty-password -d "sql:$LAB/home/.pki/nssdb"
    certutil -A -n "Stile lab" -t C,, -i "$LAB/ca/ca.pem" -d "sql:$LAB/home/.pki/nssdb"
}
