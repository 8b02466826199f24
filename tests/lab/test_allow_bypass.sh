#!/usr/bin/env bash
# Ways around the allow list (tests/corpus/allowlist), over HTTP/1 and HTTP/2 through both boxes, and into core alone with the
# edge's own filter out of the way: an edge that was taken over sends every case as it stands. The judge is the bridge: an
# nginx that decodes, merges and resolves as it does, and says for each request what it understood.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/forge.sh
. "$ROOT/tests/lab/forge.sh"

NARROW=narrow.example.com

lab_up
lab_ca
lab_dns
mkdir -p "$LAB/bridge"
lab_certificate "$LAB/bridge/bridge" "$JOIN_HOST" $NARROW
lab_certificate "$LAB/edge1" "$JOIN_HOST" $NARROW

# What the bridge understood: host, method, decoded path, and every field that could make it do something else.
cat >"$LAB/bridge/nginx.conf" <<-END
	daemon off; worker_processes 1; user root; pid $LAB/bridge/nginx.pid;
	events { }
	http {
	  log_format understood escape=json '{"host":"\$host","method":"\$request_method","path":"\$uri","line":"\$request","agent":"\$http_user_agent",'
	    '"websocket":"\$http_upgrade","forwarded":"\$http_x_forwarded_host|\$http_x_forwarded_proto|\$http_forwarded",'
	    '"other":"\$http_x_http_method_override\$http_x_http_method\$http_x_method_override\$http_x_original_url\$http_x_rewrite_url'
	    '\$http_x_original_uri\$http_x_forwarded_uri\$http_x_forwarded_path\$http_x_forwarded_prefix\$http_x_override_url'
	    '\$http_x_forwarded_server\$http_x_host\$http_x_http_host_override\$http_x_original_host\$http_x_forwarded_port'
	    '\$http_x_forwarded_scheme\$http_x_forwarded_ssl"}';
	  underscores_in_headers on;
	  access_log $LAB/understood.json understood;
	  server {
	    listen 443 ssl; listen [::]:443 ssl;
	    ssl_certificate $LAB/bridge/bridge.pem; ssl_certificate_key $LAB/bridge/bridge.key;
	    location / { return 200 "ok\n"; }
	  }
	}
END
lab_spawn bridge nginx /usr/sbin/nginx -c "$LAB/bridge/nginx.conf" -e "$LAB/log/nginx-error.log"
need 5 "the bridge" tcp_open bridge 127.0.0.1 443

pair_init
rules='[{"description": "app", "host": "'$NARROW'", "path": "/app", "methods": ["GET", "HEAD", "POST"]},
    {"description": "exact", "host": "'$NARROW'", "path": "/exact", "match": "exact", "methods": ["GET"]},
    {"description": "ws", "scheme": "wss", "host": "'$NARROW'", "path": "/app/ws", "methods": ["GET"]}]'
for box in core edge; do
    jq ".web_proxy.extra_rules = $rules | .bans.enabled = false" "$RUN/$box/stile.json" >"$LAB/tmp/stile.json" &&
        cat "$LAB/tmp/stile.json" >"$RUN/$box/stile.json"
done
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

# What a rule allows, of what the bridge understood; and nothing of the guest's in the fields that it might obey.
cat >"$LAB/tmp/allowed.jq" <<-'END'
	def allowed:
	  if .host == "narrow.example.com" then
	    if .websocket != "" then .path == "/app/ws" or (.path | startswith("/app/ws/"))
	    else ((.path == "/app" or (.path | startswith("/app/"))) and (.method | IN("GET", "HEAD", "POST"))) or
	      (.path == "/exact" and .method == "GET") end
	  else .host == "join.example.com" and (.path == "/bulk/hello" or
	    (.line == "HEAD / HTTP/1.1" and .agent == "stile-core" and .forwarded == "||")) end; # core's own probe
	select((allowed and .other == "" and (.host as $h | .forwarded | split("|") |
	  (.[0] == $h or .[0] == "") and (.[1] == "https" or .[1] == "") and
	  (.[2] == "" or (.[2] | endswith("host=\"" + $h + "\";proto=https")))) | not)) |
	  "\(.host) \(.line) as \(.method) \(.path) \(.other) \(.forwarded)"
END

# judged WAY FILE : the answers are those of the corpus, and the bridge was asked for nothing but what is allowed.
judged() {
    local name expected got
    at_least "$1: cases played" "$(grep -c '"name"' "$2")" 100
    while IFS=$'\t' read -r name expected got; do
        case $expected:$got in
        served:200 | within:*) pass "$1: $name ($got)" ;;
        refused:400 | refused:403 | refused:421 | refused:501 | refused:505 | refused:refused) pass "$1: $name ($got)" ;;
        *) fail "$1: $name (should be $expected, got $got)" ;;
        esac
    done < <(jq -r 'select(.name) | [.name, .expected, (.got | tostring)] | @tsv' "$2")
    is "$1: nothing that no rule allows" "$(jq -r -f "$LAB/tmp/allowed.jq" "$LAB/understood.json")" ""
    at_least "$1: what is allowed came" "$(grep -c "\"host\":\"$NARROW\"" "$LAB/understood.json")" 15
    : >"$LAB/understood.json"
}

for way in h1 h2; do
    lab_in guest node "$ROOT/tests/lab/allowlist.js" $way "$EDGE_PUBLIC" "$ROOT"/tests/corpus/allowlist/*.txt \
        >"$LAB/$way.json" 2>"$LAB/log/guest-$way.log"
    judged $way "$LAB/$way.json"
done

mkdir "$RUN/player"
cp "$ROOT"/tests/lab/{allowlist,h2_raw}.js "$ROOT"/tests/corpus/allowlist/*.txt "$RUN/player"
forge_start node "$RUN/player/allowlist.js" core @OUT@ "$RUN"/player/*.txt
lab_stop core core
core_start
check "core opens data channels to the attacker" wait_for 30 "every case to be played" forge_done
cp "$(forge_done)" "$LAB/core.json"
judged "core alone" "$LAB/core.json"
at_least "refusals that core has noted" "$(grep -c 'event="Request Refused"' "$LAB/log/core-core.log")" 20
tap_done
