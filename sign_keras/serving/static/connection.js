// The WebSocket: pictures out, what the server says in. Messages are described in docs/serving.md.

const MOST_WAITING = 2; // pictures on their way; more would only be older when their turn comes

export class Connection {
  #socket = null;
  #sent = 0;
  #answered = 0;
  #sentAt = new Map();

  constructor(token, handlers) {
    this.token = token;
    this.handlers = handlers; // ready, result, event, finished, fault
  }

  open() {
    const url = new URL("stream", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    let isDone = false;
    socket.onopen = () => {
      if (this.token) socket.send(JSON.stringify({ type: "token", token: this.token }));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "error") {
        isDone = true;
        this.handlers.fault(message.reason);
      } else if (message.type === "result" || message.type === "skipped") {
        message.latency = performance.now() - (this.#sentAt.get(message.frame) ?? performance.now());
        for (const frame of this.#sentAt.keys()) if (frame <= message.frame) this.#sentAt.delete(frame);
        this.#answered = message.frame + 1;
        if (message.type === "result") this.handlers.result(message);
      } else if (message.type === "finished") {
        isDone = true;
        this.handlers.finished(message);
      } else {
        this.handlers[message.type]?.(message);
      }
    };
    socket.onclose = () => {
      if (!isDone && socket === this.#socket) this.handlers.fault("The connection was lost.");
      if (socket === this.#socket) this.#socket = null;
    };
    this.#socket = socket;
  }

  get isRoomy() {
    const socket = this.#socket;
    return socket?.readyState === WebSocket.OPEN && this.#sent - this.#answered < MOST_WAITING;
  }

  async send(blob, seconds) {
    const content = new Uint8Array(await blob.arrayBuffer());
    if (!this.isRoomy) return;
    const message = new Uint8Array(12 + content.length);
    message.set([0x53, 0x4b, 0x4a, 0x31]); // SKJ1: a JPEG with its time
    new DataView(message.buffer).setFloat64(4, seconds, true);
    message.set(content, 12);
    this.#sentAt.set(this.#sent++, performance.now());
    this.#socket.send(message);
  }

  finish() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send('{"type":"finish"}');
    else this.close();
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
