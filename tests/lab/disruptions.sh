# shellcheck shell=bash
# What the tests of disruptions share: two bridges that write down every request that reaches them, guests that notice
# everything (disrupt_guest.js), and phases, at the end of which both are compared.
#
# SOCKETS, RATE: how many WebSockets, and requests a second; GUESTS: from which addresses.

SOCKETS=${SOCKETS:-500}
RATE=${RATE:-50}
declare -A ADDRESS=([b1]=$BRIDGE_ADDRESS [b2]=10.20.0.21)
[ -v GUESTS ] || GUESTS=(198.51.100.10 198.51.100.11 198.51.100.12 198.51.100.13)

# The boxes ----------------------------------------------------------------------------------------------------

# bridge_conf NAME PORT : the front of a bridge, which asks the application once and never twice.
bridge_conf() {
    cat <<-END
	daemon off; worker_processes 1; user root; pid $LAB/$1/nginx.pid; error_log $LAB/$1/error.log;
	events { worker_connections 4096; }
	http {
	    access_log off; client_body_temp_path $LAB/$1; proxy_temp_path $LAB/$1; fastcgi_temp_path $LAB/$1;
	    uwsgi_temp_path $LAB/$1; scgi_temp_path $LAB/$1;
	    server {
	        listen ${ADDRESS[$1]}:443 ssl;
	        ssl_certificate $LAB/bridge.pem; ssl_certificate_key $LAB/bridge.key;
	        location / {
	            proxy_pass http://127.0.0.1:$2; proxy_http_version 1.1; proxy_read_timeout 1h; proxy_next_upstream off;
	            proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection \$http_connection;
	            proxy_request_buffering off; proxy_buffering off;
	        }
	    }
	}
	END
}

nginx_start() { lab_spawn bridge "nginx-$1" /usr/sbin/nginx -p "$LAB/$1/" -c "$LAB/$1/nginx.conf" -e "$LAB/$1/error.log"; }

bridge_up() { tcp_open bridge "${ADDRESS[$1]}" 443; }

bridges_start() {
    local name port=8090
    lab_certificate "$LAB/bridge" "$JOIN_HOST"
    ip -n "$(lab_ns bridge)" address add "${ADDRESS[b2]}/24" dev net0
    for name in b1 b2; do
        mkdir -p "$LAB/$name"
        bridge_conf $name $port >"$LAB/$name/nginx.conf"
        lab_spawn bridge "app-$name" node "$ROOT/tests/lab/disrupt_bridge.js" $port $name "$LAB/seen"
        nginx_start $name
        need 10 "bridge $name" bridge_up $name
        port=$((port + 1))
    done
    lab_in bridge nft "add table inet faults; add chain inet faults in { type filter hook input priority 0; }"
}

guests_start() {
    local address
    for address in "${GUESTS[@]:1}"; do ip -n "$(lab_ns guest)" address add "$address/24" dev net0; done
    lab_spawn guest guests env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/disrupt_guest.js" \
        "$JOIN_HOST" "$EDGE_PUBLIC" "$SOCKETS" "$RATE" 9000 "$LAB/seen" "${GUESTS[@]}"
    need 30 "all WebSockets" all_open
}

guests() { lab_in guest curl -sS --max-time 60 "http://127.0.0.1:9000/$1"; }

all_open() { [ "$(guests open)" = "$SOCKETS" ]; }

guest_gets_through() { guest_curl -f -o /dev/null --max-time 2 "https://$JOIN_HOST/id/hello"; }

# Phases -------------------------------------------------------------------------------------------------------

enough_running() { [ "$(guests running)" -ge $((RATE / 5)) ]; }

# begin NAME : from here on what breaks is counted; returns when requests of every kind are under way.
begin() {
    NOW=$1
    guests "begin/$1" >/dev/null
    wait_for 10 "requests under way" enough_running
}

# end : waits until all is over and well, and says what was seen.
end() {
    guests end >"$LAB/$NOW.json"
    diag "$NOW: $(figure '"answers \(.answers | tojson), WebSockets closed \(.ws.closed | tojson) of \(.ws.byTarget | tojson), refused \(.ws.refused | tojson), safe requests sent again \(.resent), others failed unseen \(.failedUnseen), seen \(.failedSeen); longest time without an answer \(.gap) ms, slowest answer \(.slowest) ms, slowest echo \(.ws.slowestEcho) ms"')"
    # What holds whatever happens.
    is "$NOW: POST and PUT that reached a bridge twice" "$(figure '.twice | length')" 0
    is "$NOW: answered 200, and no bridge knows of it" "$(figure '.never | length')" 0
    is "$NOW: wrong answers and echoes" "$(figure '.wrong + .ws.wrong')" 0
    is "$NOW: 502 to 504 without Retry-After" "$(figure .withoutRetryAfter)" 0
}

figure() { jq -r "$1" "$LAB/$NOW.json"; }

no_get_lost() { is "$NOW: GET and HEAD without an answer of 200" "$(figure '.lost | tojson')" "[]"; }

closed() { figure '[.ws.closed[]] | add // 0'; }

# Looking at the boxes -----------------------------------------------------------------------------------------

worker_pid() { # BOX PROGRAM ROLE NUMBER
    local pid
    for pid in $(box_pids "$1" "$2"); do
        [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") = *"worker $3 $4 "* ]] && echo "$pid"
    done
}

# tunnel_port PID : where core's end of this worker's tunnel is.
tunnel_port() { lab_in core ss -Htnp state established "dport = 2222" | grep "pid=$1," | awk '{ sub(".*:", "", $3); print $3 }'; }

# tunnel_moved PID PORT : the tunnel's worker is connected from another port.
tunnel_moved() {
    lab_in core ss -Htnp state established "dport = 2222" | grep "pid=$1," | grep -v ":$2 " >/dev/null && uplinks_active 4
}

# tunnel_streams N : what runs through tunnel N, WebSockets and requests.
tunnel_streams() { edge_status --json | jq "[.web[].uplinks[] | select(.tunnel == $1) | .streams] | add // 0"; }

uplinks_active() { [ "$(edge_status --json | jq '[.web[].uplinks[] | select(.state == "active")] | length')" -ge "$1" ]; }

target_is() { core_status --json | jq -e --arg a "${ADDRESS[$1]}" --arg s "$2" \
    'any(.targets[]; .address == $a and .state == $s and ($s == "active" or .reason != ""))'; }

# everything_start: the boxes, the bridges, the pair and the guests.
everything_start() {
    lab_up
    lab_ca
    dns_start dns 10.20.0.53 --host-record="b1.example.com,${ADDRESS[b1]}" --host-record="b2.example.com,${ADDRESS[b2]}" \
        --srv-host="_cms-web._tls.$JOIN_HOST,b1.example.com,443" --srv-host="_cms-web._tls.$JOIN_HOST,b2.example.com,443"
    dns_start guest 127.0.0.1 --host-record="$JOIN_HOST,$EDGE_PUBLIC"
    bridges_start
    pair_start
    need 30 "both bridges" target_is b1 active
    need 30 "both bridges" target_is b2 active
    guests_start
}
