import { connect } from "node:net";

/** Sends one request head as it is, without `Host` or any other header, and returns the whole answer. */
export function rawAnswer(port: number, head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(`${head}\r\n\r\n`));
    socket.on("data", (data) => (text += data.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}
