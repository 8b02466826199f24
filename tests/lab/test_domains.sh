#!/usr/bin/env bash
# Three join hosts on one pair, each with bridges of its own: one found by SRV, one over IPv6 alone, one whose address
# changes. Nobody gets to one domain's bridge by another one's name; a bridge that dies or shows a wrong certificate is
# left, and comes back.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

MEET=meet.example.org TALK=talk.example.net

# web_start NAME LISTEN : an nginx that says its name, what it was asked for and by which name, and has WebSockets;
# its certificate is NAME.pem in $LAB/web/NAME.
web_start() {
    local dir=$LAB/web/$1
    mkdir -p "$dir/tmp"
    cat >"$dir/nginx.conf" <<-END
	daemon off; user root; worker_processes 1; pid $dir/pid; error_log $dir/error.log;
	events { worker_connections 256; }
	http {
	    log_format seen '\$host \$ssl_server_name \$ssl_session_reused \$request_method \$http_user_agent';
	    access_log $dir/access.log seen;
	    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
	    uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
	    server {
	        listen $2 ssl;
	        ssl_certificate $dir/$1.pem; ssl_certificate_key $dir/$1.key;
	        location / { default_type text/plain; return 200 "$1 \$host \$ssl_server_name\n"; }
	        location /bulk/ {
	            proxy_pass http://127.0.0.1:8090; proxy_http_version 1.1; proxy_read_timeout 60s;
	            proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection upgrade;
	        }
	    }
	}
	END
    lab_spawn bridge "$1" /usr/sbin/nginx -p "$dir/" -c "$dir/nginx.conf" -e "$dir/error.log"
}

# web_certificate NAME CA HOST : what the bridge NAME proves to be from its next start or reload on.
web_certificate() {
    mkdir -p "$LAB/web/$1"
    LAB_CA=$LAB/$2 lab_certificate "$LAB/web/$1/$1" "$3"
}

web_reload() { lab_in bridge kill -HUP "$(cat "$LAB/web/$1/pid")"; }

# lan_dns ADDRESS-OF-TALK : the LAN's name server. Talk's record lives for 2 s, the others for 60.
lan_dns() {
    dns_start dns 10.20.0.53 \
        --srv-host="_cms-web._tls.$JOIN_HOST,a1.lan.test,8443,10,75" \
        --srv-host="_cms-web._tls.$JOIN_HOST,a2.lan.test,8443,10,25" \
        --srv-host="_cms-web._tls.$JOIN_HOST,a3.lan.test,8443,20,0" \
        --host-record=a1.lan.test,10.20.0.21 --host-record=a2.lan.test,10.20.0.22 --host-record=a3.lan.test,10.20.0.23 \
        --host-record="$MEET,fd20::31" --host-record="$TALK,$1,2"
}

# row ADDRESS FIELD : of a target in core's status.
row() { core_status --json | jq -r --arg a "$1" ".targets[] | select(.address == \$a) | .$2"; }
state_is() { [ "$(row "$1" state)" = "$2" ]; }
row_reason_has() { row "$1" reason | grep "$2" >/dev/null; }
said() { guest_curl --max-time 5 "https://$1/"; }
says() { [ "$(said "$1")" = "$2 $1 $1" ]; }
# said_by N HOST : which bridges answered N requests, and how often: "30 a1, 10 a2".
said_by() {
    local n=$1 urls
    printf -v urls "https://$2/%s " $(seq "$n")
    # shellcheck disable=SC2086 # words
    guest_curl --http1.1 $urls | cut -d' ' -f1 | sort | uniq -c | awk '{ printf "%s%s %s", n++ ? ", " : "", $1, $2 }'
}
code() { guest_curl -o /dev/null -w '%{http_code}' "$@"; }
echoes() { lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/ws_echo.js" "wss://$1/bulk/echo" 5 20; }

lab_up
lab_ca
lab_ca "$LAB/ca-a"
lab_ca "$LAB/ca-b"
lan_dns 10.20.0.41
dns_start guest 127.0.0.1 --host-record="$JOIN_HOST,$MEET,$TALK,$EDGE_PUBLIC,$EDGE_PUBLIC6"
for address in 21 22 23 41 42; do ip -n "$(lab_ns bridge)" address add "10.20.0.$address/24" dev net0; done
ip -n "$(lab_ns bridge)" address add fd20::31/64 dev net0 nodad
for web in a1:10.20.0.21 a2:10.20.0.22 a3:10.20.0.23; do
    web_certificate "${web%%:*}" ca-a "$JOIN_HOST"
    web_start "${web%%:*}" "${web#*:}:8443"
done
web_certificate b ca-b "$MEET"
web_start b '[fd20::31]:443'
for web in c1:10.20.0.41 c2:10.20.0.42; do
    web_certificate "${web%%:*}" ca-b "$TALK"
    web_start "${web%%:*}" "${web#*:}:443"
done
lab_spawn bridge bulk node "$ROOT/tests/bridge/bulk.js" 8090

pair_install
lab_certificate "$LAB/edge1" "$JOIN_HOST" "$MEET" "$TALK"
check "init for three domains" lab_in core "$CORE" init --dir "$RUN/core" --core core1 --edge "edge1=$EDGE_INNER:2222,public=$EDGE_PUBLIC" \
    --join-url "https://$JOIN_HOST" --bridge-ca "$LAB/ca-a/ca.pem" \
    --join-url "https://$MEET" --bridge-ca "$LAB/ca-b/ca.pem" --join-url "https://$TALK" --bridge-ca "$LAB/ca-b/ca.pem"
check "the edge joins" lab_in edge "$EDGE" join "$RUN/core/edge1.bundle" --dir "$RUN/edge" --cert "$LAB/edge1.pem" --key "$LAB/edge1.key"
edge_start
core_start
need 10 "$JOIN_HOST" says "$JOIN_HOST" a1
need 10 "$MEET" says "$MEET" b
need 10 "$TALK" says "$TALK" c1

# Found, and shown.
is "SRV: names, ports, priorities and weights" \
    "$(core_status --json | jq -c '[.domains[0].targets | sort_by(.name)[] | [.name, .port, .priority, .weight, .state]]')" \
    '[["a1.lan.test",8443,10,75,"active"],["a2.lan.test",8443,10,25,"active"],["a3.lan.test",8443,20,0,"active"]]'
is "an address of IPv6 alone" "$(core_status --json | jq -c '[.domains[1] | .domain, (.targets[] | .address, .port, .state)]')" \
    '["meet.example.org","fd20::31",443,"active"]'
check "status has a table for each" grep -q "^https://$MEET is resolved to these targets" <<<"$(core_status)"
check "and both boxes name them all" grep -q "$JOIN_HOST, $MEET, $TALK" <<<"$(edge_status)"
is "metrics tell them apart" "$(lab_in core "$CORE" metrics --dir "$RUN/core" | grep "^stile_targets_active" | sort | xargs -d '\n')" \
    "stile_targets_active{domain=\"$JOIN_HOST\"} 3 stile_targets_active{domain=\"$MEET\"} 1 stile_targets_active{domain=\"$TALK\"} 1"

# Served, each by its own.
at_least "by weight, of the best priority: a1" "$(said_by 40 "$JOIN_HOST" | sed -E 's/^([0-9]+) a1, .* a2$/\1/')" 28
is "the second domain's bridge alone" "$(said_by 10 $MEET)" "10 b"
check "WebSockets to the first" echoes "$JOIN_HOST"
check "WebSockets to the second" echoes $MEET
is "port 80 redirects within a domain" "$(guest_curl -o /dev/null -w '%{redirect_url}' "http://$MEET/x")" "https://$MEET/x"

# By another one's name: never.
for version in --http1.1 --http2; do
    is "$version: the second's Host on the first's SNI" "$(code $version -H "Host: $MEET" "https://$JOIN_HOST/")" 421
    is "$version: the first's Host on the second's SNI" "$(code $version -H "Host: $JOIN_HOST" "https://$MEET/")" 421
    is "$version: a host that nobody has" "$(code $version -H "Host: other.example.com" "https://$MEET/")" 421
done
refute "a WebSocket to the second on the first's SNI" guest_curl -f --http1.1 -H "Host: $MEET" -H 'Connection: Upgrade' \
    -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' "https://$JOIN_HOST/bulk/echo"
is "bridges saw nothing but their own domain, in Host and SNI" "$(awk '{ print FILENAME, $1, $2 }' "$LAB"/web/*/access.log |
    sed -E "s,.*/web/(.).?/access.log,\1," | sort -u | xargs -d '\n')" \
    "a $JOIN_HOST $JOIN_HOST b $MEET $MEET c $TALK $TALK"

# A wrong certificate.
web_certificate a2 ca-a other.example.com
web_reload a2
check "the wrong name makes it Failed" wait_for 10 "a2 Failed" state_is 10.20.0.22 failed
is "with the reason in words" "$(row 10.20.0.22 reason)" "name mismatch: expected $JOIN_HOST, certificate names other.example.com"
is "the other one has all requests" "$(said_by 10 "$JOIN_HOST")" "10 a1"
web_certificate a2 ca-b "$JOIN_HOST"
web_reload a2
check "another domain's CA is no better" wait_for 10 "a2 Failed for its issuer" row_reason_has 10.20.0.22 "certificate verify failed"
web_certificate a2 ca-a "$JOIN_HOST"
web_reload a2
check "the right one makes it Active" wait_for 10 "a2 Active" state_is 10.20.0.22 active

# A bridge that dies is left by the first request that meets it, and comes back through its probe.
kill -KILL -- "-$(lab_pid bridge a1)" # with its worker
is "not one request of twenty is lost" "$(said_by 20 "$JOIN_HOST")" "20 a2"
check "it is Failed" wait_for 5 "a1 Failed" state_is 10.20.0.21 failed
lab_stop bridge a2
is "the next priority takes over" "$(said_by 10 "$JOIN_HOST")" "10 a3"
is "the second domain has not noticed" "$(said_by 5 $MEET)" "5 b"
web_start a1 10.20.0.21:8443
check "the first one comes back" wait_for 10 "a1 Active" state_is 10.20.0.21 active
check "and serves" wait_for 10 "a1 serving" says "$JOIN_HOST" a1
lab_stop bridge b
is "a domain without a bridge has 502" "$(code "https://$MEET/")" 502
is "others' bridges were not asked" "$(cut -d' ' -f1 "$LAB"/web/[ac]?/access.log | grep -c "$MEET")" 0

# DNS: kept for as long as it may be, and no longer.
asked=$(grep -c "query\[SRV\] _cms-web._tls.$JOIN_HOST" "$LAB/log/dns-dns.log")
is "a record of 60 s was asked for once" "$asked" 1
lab_stop dns dns
lan_dns 10.20.0.42
check "a changed address of 2 s is taken, without a restart" wait_for 10 "c2" says $TALK c2
is "the old one has gone" "$(row 10.20.0.41 state)" ""
tap_done
