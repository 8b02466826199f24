# shellcheck shell=bash
# The web bridge that the lab and the demo put behind Stile: Debian's nginx speaks HTTPS and WSS in front of Debian's
# Janus and its demo pages. Nothing of it touches /etc: all files lie in one directory.
#
#   bridge_write DIR   writes nginx.conf, janus/, site/ from the variables below
#   bridge_nginx DIR   prints the command that runs the front in the foreground, bridge_janus DIR the one for Janus

BRIDGE_SOURCE=$(dirname "${BASH_SOURCE[0]}")

: "${BRIDGE_LISTEN:=443}"              # address:port or port of the HTTPS front
: "${BRIDGE_NAMES:=localhost}"         # names that the front answers to
: "${BRIDGE_CERT:=}" "${BRIDGE_KEY:=}" # its certificate
: "${JANUS_HTTP_PORT:=8088}" "${JANUS_WS_PORT:=8188}"
: "${JANUS_ADDRESS:=}"                 # the only address that Janus offers for media; empty: all
: "${JANUS_RTP_PORTS:=20000-20999}"
: "${JANUS_PLUGINS:=echotest}"         # the plugins to load, of those with a configuration in janus/
: "${BRIDGE_BULK_PORT:=}"              # where bulk.js listens on loopback, if it runs
: "${ICE_SERVERS:=null}"               # JSON that the demo pages hand to RTCPeerConnection

# Replaces @NAME@ by the value of the variable NAME.
bridge_fill() {
    local text name
    text=$(cat "$1")
    while [[ $text =~ @([A-Z_]+)@ ]]; do
        name=${BASH_REMATCH[1]}
        text=${text//"@$name@"/${!name-}}
    done
    printf '%s\n' "$text"
}

# shellcheck disable=SC2034 # the variables are filled into the templates
bridge_write() {
    local BRIDGE_DIR=$1 NGINX_USER="" BULK_INCLUDE=""
    local JANUS_LIBS=/usr/lib/${MULTIARCH:-$(uname -m)-linux-gnu}/janus
    local JANUS_PLUGINS_OFF plugin
    for plugin in audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall videoroom \
        voicemail; do
        [[ " $JANUS_PLUGINS " = *" $plugin "* ]] || JANUS_PLUGINS_OFF+=libjanus_$plugin.so,
    done
    mkdir -p "$BRIDGE_DIR"/{janus,site,tmp,log}
    [ "$(id -u)" != 0 ] || NGINX_USER="user root;"
    [ -z "$BRIDGE_BULK_PORT" ] || BULK_INCLUDE="include $BRIDGE_DIR/bulk.conf;"
    bridge_fill "$BRIDGE_SOURCE/nginx.conf.in" >"$BRIDGE_DIR/nginx.conf"
    bridge_fill "$BRIDGE_SOURCE/bulk.conf.in" >"$BRIDGE_DIR/bulk.conf"
    bridge_fill "$BRIDGE_SOURCE/settings.js.in" >"$BRIDGE_DIR/site/settings.js"
    local file
    for file in "$BRIDGE_SOURCE"/janus/*.jcfg.in; do
        bridge_fill "$file" >"$BRIDGE_DIR/janus/$(basename "$file" .in)"
    done
}

bridge_nginx() { echo "/usr/sbin/nginx -p $1/ -c $1/nginx.conf -e $1/log/nginx-error.log"; }

bridge_janus() { echo "/usr/bin/janus -F $1/janus"; }
