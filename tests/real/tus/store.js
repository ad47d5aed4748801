// The tus project's own server over TLS 1.3 on a free loopback port; node runs this from stdin, beside node_modules.
// Says `ready PORT`, then one line for each request: its method and the status of its answer.
import { readFileSync } from "node:fs"
import https from "node:https"
import { FileStore } from "@tus/file-store"
import { Server } from "@tus/server"

const [directory, certificate, key, location, keptMs] = process.argv.slice(2)
// As it comes it calls itself http:// also behind TLS; with relativeLocation it answers with paths.
const relativeLocation = location === "relative"
const datastore = new FileStore({ directory, expirationPeriodInMilliseconds: Number(keptMs) })
const tus = new Server({ path: "/files", relativeLocation, datastore })
const options = { cert: readFileSync(certificate), key: readFileSync(key), minVersion: "TLSv1.3" }
const listener = https.createServer(options, (request, response) => {
  response.on("close", () => console.log(request.method, response.writableFinished ? response.statusCode : "lost"))
  tus.handle(request, response)
})
listener.listen(0, "127.0.0.1", () => console.log("ready", listener.address().port))
process.on("SIGTERM", () => {
  listener.close(() => process.exit())
  listener.closeAllConnections()
})
