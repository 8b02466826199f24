// Elements from names, attributes and children. Text becomes text nodes, always: what a guest sent is shown, never run.

const SVG = 'http://www.w3.org/2000/svg';

function assign(node, attributes) {
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === undefined || value === null || value === false)
            continue;
        if (name.startsWith('on'))
            node.addEventListener(name.slice(2), value);
        else if (name === 'value' || name === 'checked')
            node[name] = value;
        else
            node.setAttribute(name, value === true ? '' : value);
    }
}

// el('p', { class: 'quiet' }, 'Text', node, [more], null)
export function el(name, attributes, ...children) {
    const node = add(document.createElement(name), children);
    assign(node, attributes); // behind the children: a select has its options by then
    return node;
}

export function svg(name, attributes, ...children) {
    const node = document.createElementNS(SVG, name);
    assign(node, attributes);
    add(node, children);
    return node;
}

export function add(node, ...children) {
    for (const child of children.flat(Infinity))
        if (child !== undefined && child !== null && child !== false)
            node.append(child instanceof Node ? child : String(child));
    return node;
}

export function fill(node, ...children) {
    node.replaceChildren();
    return add(node, children);
}

// Touches the document only where something is new: selections and screen readers stay where they are.
export function setText(node, text) {
    if (node.textContent !== String(text))
        node.textContent = String(text);
}
