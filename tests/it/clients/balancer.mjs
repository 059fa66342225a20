// A plain round-robin balancer: each request goes to the next server, whoever sent the one before.
// Usage: node balancer.mjs HOST:PORT HOST:PORT...; prints the port it listens on.
import http from "node:http";

const backends = process.argv.slice(2).map((address) => {
  const [host, port] = address.split(":");
  return { host, port };
});
let turn = 0;

const balancer = http.createServer((request, response) => {
  const { host, port } = backends[turn++ % backends.length];
  const options = { host, port, method: request.method, path: request.url, headers: request.headers };
  const forwarded = http.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
    response.flushHeaders();
    answer.on("error", () => response.destroy());
  });
  forwarded.on("error", () => response.destroy());
  // Who goes away ends what was forwarded.
  response.on("close", () => forwarded.destroy());
  request.pipe(forwarded);
});
balancer.requestTimeout = 0;
balancer.listen(0, "127.0.0.1", () => console.log(balancer.address().port));
