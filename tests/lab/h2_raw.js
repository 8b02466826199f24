// HTTP/2 by hand, for what no library would send: frames as they are given, fields as literals (RFC 7541 §6.2.2, without
// Huffman's code), and of what comes only statuses, resets, GOAWAY and PONG. Announces a table of size 0, so that every
// status comes as a literal or from the static table.
'use strict';

const TYPES = ['DATA', 'HEADERS', 'PRIORITY', 'RST_STREAM', 'SETTINGS', 'PUSH_PROMISE', 'PING', 'GOAWAY', 'WINDOW_UPDATE', 'CONTINUATION'];
const CODES = ['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED',
    'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM'];
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const END_STREAM = 1, ACK = 1, END_HEADERS = 4;
const STATIC_STATUS = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 };

function frame(type, flags, id, payload = Buffer.alloc(0)) {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = typeof type === 'number' ? type : TYPES.indexOf(type);
    head[4] = flags;
    head.writeUInt32BE(id >>> 0, 5);
    return Buffer.concat([head, payload]);
}

// What a client says first: it has no table for fields. Then it waits for the server's SETTINGS and acknowledges them.
const opening = Buffer.concat([PREFACE, frame('SETTINGS', 0, 0, Buffer.from('000100000000', 'hex'))]);
const acknowledgement = frame('SETTINGS', ACK, 0);

// RFC 7541 §5.1, §5.2. Text is bytes as Latin-1.
function string(text) {
    const bytes = Buffer.from(text, 'latin1'), head = [];
    let left = bytes.length;
    if (left < 127) {
        head.push(left);
    } else {
        head.push(127);
        for (left -= 127; left >= 128; left >>= 7)
            head.push((left & 127) | 128);
        head.push(left);
    }
    return Buffer.concat([Buffer.from(head), bytes]);
}

const field = (name, value) => Buffer.concat([Buffer.from([0]), string(name), string(value)]);

function integer(block, at, prefix) {
    let value = block[at] & ((1 << prefix) - 1), shift = 0;
    if (value < (1 << prefix) - 1)
        return [value, at + 1];
    do
        value += (block[++at] & 127) << shift, shift += 7;
    while (block[at] & 128);
    return [value, at + 1];
}

// RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 six.
function digits(bytes) {
    let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join(''), text = '';
    while (text.length < 3) {
        const short = parseInt(bits.slice(0, 5), 2);
        text += short <= 2 ? short : parseInt(bits.slice(0, 6), 2) - 0x19 + 3;
        bits = bits.slice(short <= 2 ? 5 : 6);
    }
    return text;
}

// The status at the beginning of a block; 0 where it does not begin with one (trailers).
function status(block) {
    let at = 0, index;
    while ((block[at] & 0xe0) === 0x20)
        [, at] = integer(block, at, 5);
    if (block[at] & 0x80)
        return STATIC_STATUS[block[at] & 0x7f] || 0;
    [index, at] = integer(block, at, block[at] & 0x40 ? 6 : 4);
    if (!STATIC_STATUS[index])
        return 0;
    const huffman = block[at] & 0x80;
    const [length, from] = integer(block, at, 7), value = block.subarray(from, from + length);
    return Number(huffman ? digits(value) : value.toString('latin1'));
}

// Cuts what comes into frames and calls see({kind, id, value}) for those that say something.
function reader(see) {
    let held = Buffer.alloc(0);
    return (data) => {
        held = Buffer.concat([held, data]);
        while (held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
            const type = TYPES[held[3]], id = held.readUInt32BE(5) & 0x7fffffff;
            const body = held.subarray(9, 9 + held.readUIntBE(0, 3));
            const code = (n) => CODES[n] || n;
            if (type === 'HEADERS' && status(body) >= 200)
                see({ kind: 'answer', id, value: status(body) });
            else if (type === 'RST_STREAM')
                see({ kind: 'reset', id, value: code(body.readUInt32BE(0)) });
            else if (type === 'GOAWAY')
                see({ kind: 'goaway', id: 0, value: code(body.readUInt32BE(4)) });
            else if (type === 'PING' && held[4] & ACK)
                see({ kind: 'pong', id: 0, value: body.toString('latin1') });
            held = held.subarray(9 + body.length);
        }
    };
}

module.exports = { TYPES, END_STREAM, END_HEADERS, frame, opening, acknowledgement, field, reader };
