// The owner's key in the browser: read from its file once, kept so that it signs and cannot be copied, never sent.

const PLACE = "transom", SHELF = "keys", NAME = "owner"
const FILE_BYTES_MAX = 4096
const KINDS = {
  "OKP Ed25519": {alg: "Ed25519", members: ["crv", "kty", "x"], imported: {name: "Ed25519"}, signing: {name: "Ed25519"}},
  "EC P-256": {
    alg: "ES256", members: ["crv", "kty", "x", "y"],
    imported: {name: "ECDSA", namedCurve: "P-256"}, signing: {name: "ECDSA", hash: "SHA-256"},
  },
}

const bytes = text => new TextEncoder().encode(text)

export const base64url = octets =>
  btoa(String.fromCharCode(...new Uint8Array(octets))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")

/** Read a private JWK (RFC 7517) of Ed25519 or P-256; the error says what to do. */
export async function readKey(file) {
  if (file.size > FILE_BYTES_MAX) throw new Error("That file is too long for a key. Choose the .jwk file that you paired the hub with.")
  let jwk
  try { jwk = JSON.parse(await file.text()) } catch { throw new Error("That is not a key file. Choose the .jwk file that you paired the hub with.") }
  const kind = KINDS[`${jwk?.kty} ${jwk?.crv}`]
  if (!kind || typeof jwk.d !== "string") throw new Error("That file holds no private key of Ed25519 or P-256. Choose the .jwk file that you paired the hub with.")
  const open = Object.fromEntries(kind.members.map(name => [name, jwk[name]]))
  const kid = base64url(await crypto.subtle.digest("SHA-256", bytes(JSON.stringify(open)))) // RFC 7638
  try {
    const key = await crypto.subtle.importKey("jwk", {...open, d: jwk.d}, kind.imported, false, ["sign"])
    return {key, kid, kind: `${jwk.kty} ${jwk.crv}`}
  } catch {
    throw new Error(jwk.kty === "OKP"
      ? "This browser cannot use an Ed25519 key. Update it, or take another browser."
      : "That key is damaged. Take the file from where you keep a copy.")
  }
}

/** Sign claims as a compact JWS of a type (agent/command/FORMAT.md, section 1). */
export async function sign(owner, typ, claims) {
  const kind = KINDS[owner.kind]
  const head = base64url(bytes(JSON.stringify({alg: kind.alg, typ, kid: owner.kid})))
  const signed = `${head}.${base64url(bytes(JSON.stringify(claims)))}`
  return `${signed}.${base64url(await crypto.subtle.sign(kind.signing, owner.key, bytes(signed)))}`
}

const wait = asked => new Promise((done, failed) => { asked.onsuccess = () => done(asked.result); asked.onerror = () => failed(asked.error) })

async function shelf(mode) {
  const asked = indexedDB.open(PLACE, 1)
  asked.onupgradeneeded = () => asked.result.createObjectStore(SHELF)
  return (await wait(asked)).transaction(SHELF, mode).objectStore(SHELF)
}

/** Return the remembered key, or undefined: also where the browser keeps nothing. */
export async function remembered() {
  try { return await wait((await shelf("readonly")).get(NAME)) } catch { return undefined }
}

export async function remember(owner) { await wait((await shelf("readwrite")).put(owner, NAME)) }

export async function forget() { await wait((await shelf("readwrite")).delete(NAME)) }
