#!/usr/bin/env node
// Joins Janus's echo test as a guest would, in headless Chromium with a false camera and microphone, with all media
// forced through TURN. Prints as JSON what the browser itself reports about the call.
//
//   call.js --url URL [--turn TURN-URL,... --user NAME --password PASSWORD] [--screenshot FILE] [--seconds N]
//           [--any-certificate]
//
// Without --turn it is the page that knows the TURN servers.
//
// Exit status: 0 if the call came up and was watched, 1 if not (the JSON then has "error").
'use strict';
const { chromium } = require('playwright-core');
const { parseArgs } = require('util');

const { values: options } = parseArgs({
    options: {
        url: { type: 'string' }, turn: { type: 'string' }, user: { type: 'string' }, password: { type: 'string' },
        screenshot: { type: 'string' }, seconds: { type: 'string', default: '5' },
        'any-certificate': { type: 'boolean' },
    },
});

const browserArguments = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
];

// Runs in the page before its own scripts: whatever the page asks for, every connection relays, through our server if
// one was named.
function forceRelay(iceServers) {
    const Native = window.RTCPeerConnection;
    window.stileCall = { peers: [] };
    window.RTCPeerConnection = class extends Native {
        constructor(configuration, ...rest) {
            super({ ...configuration, ...(iceServers && { iceServers }), iceTransportPolicy: 'relay' }, ...rest);
            window.stileCall.peers.push(this);
            this.addEventListener('iceconnectionstatechange', () => {
                window.stileCall[this.iceConnectionState] ||= performance.now();
            });
        }
    };
}

// Runs in the page: the few figures of getStats() that say how the call is.
async function readStats() {
    const report = {};
    for (const peer of window.stileCall.peers) {
        const stats = await peer.getStats();
        stats.forEach((entry) => {
            if (entry.type === 'inbound-rtp')
                report[entry.kind] = {
                    framesDecoded: entry.framesDecoded, packetsReceived: entry.packetsReceived,
                    packetsLost: entry.packetsLost, width: entry.frameWidth,
                };
            if (entry.type === 'transport' && entry.selectedCandidatePairId) {
                const pair = stats.get(entry.selectedCandidatePairId);
                const local = stats.get(pair.localCandidateId);
                const remote = stats.get(pair.remoteCandidateId);
                report.pair = {
                    state: pair.state, localType: local.candidateType, relayProtocol: local.relayProtocol,
                    localAddress: local.address, localPort: local.port, remoteType: remote.candidateType,
                    remoteAddress: remote.address, remotePort: remote.port, roundTripTime: pair.currentRoundTripTime,
                };
            }
        });
    }
    return report;
}

async function call(page, seen) {
    page.on('websocket', (socket) => seen.websockets.push(socket.url()));
    page.on('console', (message) => {
        if (message.type() === 'error')
            seen.consoleErrors.push(message.text());
    });
    const server = { urls: options.turn && options.turn.split(','), username: options.user, credential: options.password };
    await page.addInitScript(forceRelay, options.turn ? [server] : null);
    await page.goto(options.url, { waitUntil: 'load', timeout: 20000 });
    await page.locator('#start').click({ timeout: 10000 });
    await page.waitForFunction(() => window.stileCall.connected, null, { timeout: 20000, polling: 50 });
    seen.connectMs = Math.round(await page.evaluate(() => window.stileCall.connected - window.stileCall.checking));
    await page.waitForFunction(() => [...document.querySelectorAll('video')].filter((v) => v.videoWidth > 0).length > 1,
        null, { timeout: 10000, polling: 50 });

    const before = await page.evaluate(readStats);
    await page.waitForTimeout(1000 * Number(options.seconds));
    const after = await page.evaluate(readStats);
    seen.framesDecoded = after.video.framesDecoded - before.video.framesDecoded;
    seen.audioPackets = after.audio.packetsReceived - before.audio.packetsReceived;
    seen.stats = after;
}

async function main() {
    const seen = { url: options.url, turn: options.turn, websockets: [], consoleErrors: [] };
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: browserArguments });
    const page = await browser.newPage({
        viewport: { width: 1280, height: 900 }, ignoreHTTPSErrors: options['any-certificate'],
    });
    try {
        await call(page, seen);
    } catch (error) {
        seen.error = String(error.message).split('\n')[0];
    }
    try {
        if (options.screenshot)
            await page.screenshot({ path: options.screenshot });
        await page.goto('about:blank'); // hangs up, so that the relay's allocations end
    } catch (error) {
        seen.error = seen.error || String(error.message).split('\n')[0];
    }
    await browser.close();
    console.log(JSON.stringify(seen, null, 2));
    process.exitCode = seen.error ? 1 : 0;
}

main();
