#!/usr/bin/env bash
# Stile beside nginx, haproxy and llhttp: every request of tests/corpus, with a bridge behind each that takes everything and
# writes down what came. Stile must answer as the corpus says and let nothing through that can be read in two ways; what
# docs/strictness.md says of it must be what was measured. The peers are measured and never judged: their columns are
# written by tests/corpus/compare.
#
#   guest ---- edge ---- core ---- recorder :443 (bridge)
#   client --- nginx  :8440.. ---- recorder :9440..  }  all on the bridge's box, one port of each
#   client --- haproxy :8540.. --- recorder :9540..  }  for each of the lanes in which cases are played
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

LANES=6
FOREIGN=${FOREIGN:-300} # ms that a peer may take where it does not answer as Stile does

lab_up
lab_ca
lab_dns
mkdir -p "$LAB/peers"
lab_certificate "$LAB/peers/front" "$JOIN_HOST"
cat "$LAB/peers/front.pem" "$LAB/peers/front.key" >"$LAB/peers/both.pem"
chmod 644 "$LAB"/peers/*

# The bridges, and nginx and haproxy as their manuals set them up in front of one.
# shellcheck disable=SC2046 # lists of ports
recorders_start() {
    local record=$ROOT/tests/lab/recorder.js
    lab_spawn bridge recorder node "$record" "$LAB/stile.record" --tls "$LAB/peers/front.pem" "$LAB/peers/front.key" 443
    lab_spawn bridge recorder-nginx node "$record" "$LAB/nginx.record" $(seq 9440 $((9439 + LANES)))
    lab_spawn bridge recorder-haproxy node "$record" "$LAB/haproxy.record" $(seq 9540 $((9539 + LANES)))
    for port in 443 9440 9540; do
        need 10 "the recorder on port $port" tcp_open bridge 127.0.0.1 $port
    done
}

nginx_start() {
    local lane
    {
        printf 'daemon off; worker_processes 1; user root; pid %s/nginx.pid;\nevents { }\nhttp {\n' "$LAB/peers"
        printf '  access_log off; server_tokens off;\n'
        # shellcheck disable=SC2016 # nginx's variables
        printf '  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }\n'
        for name in client_body proxy fastcgi uwsgi scgi; do printf '  %s_temp_path %s;\n' $name "$LAB/tmp"; done
        for ((lane = 0; lane < LANES; lane++)); do
            cat <<-CONF
			  upstream bridge$lane { server 127.0.0.1:$((9440 + lane)); keepalive 4; }
			  server {
			    listen 127.0.0.1:$((8440 + lane)) ssl http2;
			    server_name $JOIN_HOST;
			    ssl_certificate $LAB/peers/front.pem;
			    ssl_certificate_key $LAB/peers/front.key;
			    location / {
			      proxy_pass http://bridge$lane;
			      proxy_http_version 1.1;
			      proxy_set_header Host \$http_host;
			      proxy_set_header Upgrade \$http_upgrade;
			      proxy_set_header Connection \$connection_upgrade;
			    }
			  }
			CONF
        done
        printf '}\n'
    } >"$LAB/peers/nginx.conf"
    lab_spawn bridge nginx /usr/sbin/nginx -c "$LAB/peers/nginx.conf" -e "$LAB/log/nginx-error.log"
    need 5 "nginx" tcp_open bridge 127.0.0.1 8440
}

haproxy_start() {
    local lane
    {
        printf 'defaults\n  mode http\n  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n'
        printf '  timeout http-request 5s\n'
        for ((lane = 0; lane < LANES; lane++)); do
            cat <<-CONF
			frontend front$lane
			  bind 127.0.0.1:$((8540 + lane)) ssl crt $LAB/peers/both.pem alpn h2,http/1.1
			  default_backend bridge$lane
			backend bridge$lane
			  server bridge 127.0.0.1:$((9540 + lane))
			CONF
        done
    } >"$LAB/peers/haproxy.cfg"
    lab_spawn bridge haproxy /usr/sbin/haproxy -db -f "$LAB/peers/haproxy.cfg"
    need 5 "haproxy" tcp_open bridge 127.0.0.1 8540
}

# play BOX PARTY OPTION... HOST : all cases to a party; what came of them to PARTY.json and, of HTTP/2, PARTY.h2.json.
play() {
    local box=$1 party=$2
    shift 2
    lab_in "$box" env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/corpus.js" "$@" \
        "$ROOT"/tests/corpus/http1/*.txt >"$LAB/$party.json" 2>"$LAB/log/$party-corpus.log"
    [ $party = llhttp ] || lab_in "$box" env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/corpus_h2.js" "$@" \
        "$ROOT"/tests/corpus/http2/{heads,frames,floods}.txt >"$LAB/$party.h2.json" 2>"$LAB/log/$party-corpus-h2.log"
}

recorders_start
nginx_start
haproxy_start
cc -w -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -o "$LAB/tmp/llhttp_read" "$ROOT/tests/corpus/llhttp_read.c" \
    /usr/share/llhttp/*.c || { echo "Bail out! node-llhttp is missing: packaging/deps check"; exit 1; }
# A guest who asks for all of this is banned otherwise.
pair_init
jq '.bans.enabled = false' "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

play bridge nginx --port 8440 --lanes $LANES --record "$LAB/nginx.record" --record-port 9440 --patience $FOREIGN 127.0.0.1 &
play bridge haproxy --port 8540 --lanes $LANES --record "$LAB/haproxy.record" --record-port 9540 --patience $FOREIGN 127.0.0.1 &
play guest llhttp --program "$LAB/tmp/llhttp_read" none &
play guest stile --record "$LAB/stile.record" "$JOIN_HOST"
wait

at_least "cases played" "$(wc -l <"$LAB/stile.json")" 200
for party in nginx haproxy llhttp; do
    is "cases played to $party" "$(wc -l <"$LAB/$party.json")" "$(wc -l <"$LAB/stile.json")"
done
while IFS=$'\t' read -r name got expected; do
    is "$name" "$got" "$expected"
done < <(jq -r '[.name, (.got | tojson), (.expected | tojson)] | @tsv' "$LAB/stile.json")
at_least "cases of HTTP/2 played" "$(wc -l <"$LAB/stile.h2.json")" 120
while IFS=$'\t' read -r name wrong; do
    is "HTTP/2: $name" "$wrong" "[]"
done < <(jq -r '[.name, (.wrong | tojson)] | @tsv' "$LAB/stile.h2.json")
is "cases of which more came to the bridge than may" \
    "$(jq -r 'select((.reached | length) > .core) | .name' "$LAB/stile.json")" ""
at_most "requests over HTTP/2 that came to the bridge" "$(jq -s 'map(.reached // [] | length) | add' "$LAB/stile.h2.json")" \
    "$(jq -s 'map(.core // 1000) | add' "$LAB/stile.h2.json")"
is "requests that can be read in two ways" "$(jq -r 'select(.flaws and .flaws != []) | .line' "$LAB/stile.record")" ""
is "requests that were smuggled" "$(grep -c smuggled "$LAB/stile.record")" 0
check "an honest request behind all of them" guest_gets_through

# What the document says of Stile is what was measured: the first two columns.
node "$ROOT/tests/lab/strictness.js" "$LAB" >"$LAB/table.md"
columns() { awk -F' *[|] *' '/^\| / { print $2 " | " $3 }' "$1"; }
is "docs/strictness.md says what Stile does" "$(diff <(columns "$ROOT/docs/strictness.md") <(columns "$LAB/table.md") | grep '^[<>]')" ""
tap_done
