// The owner's page: logs in, signs answers and pauses, counts down, looks for news. It writes text only, never markup.
import {forget, readKey, remember, remembered, sign} from "./keys.js"

const LOGIN_S = 120, ANSWER_S = 600, NEWS_MS = 5000, CLOCK_MS_MAX = 50_000, BY_NEWS = "/?by=news"
const body = document.body, notice = document.getElementById("notice")
const hubAhead = Number(body.dataset.nowMs) - Date.now() // as far as the page was quick to come
const all = (selector, root = document) => [...root.querySelectorAll(selector)]
const seconds = () => Math.floor(Date.now() / 1000)
const hubSeconds = () => Math.floor((Date.now() + hubAhead) / 1000) // what gives nothing away needs no clock of ours
let owner, busy = 0, toldNews = ""

const say = (words, isBad = false) => {
  notice.textContent = words
  notice.className = isBad ? "notice bad" : "notice"
  notice.hidden = false
}

/** Ask the hub; an error's words are the hub's own. */
async function ask(path, text) {
  let answer
  try {
    answer = await fetch(path, text === undefined ? {} : {method: "POST", body: text, headers: {"content-type": "text/plain"}})
  } catch {
    throw new Error("The hub does not answer. See that you are in its network, then try again.")
  }
  if (answer.status === 401 && path !== "/login") { location.assign("/"); throw new Error("Your login has ended. Log in again.") }
  const told = answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : {words: await answer.text()}
  if (!answer.ok) throw new Error(told.words)
  return told
}

/** Let a person choose their key file once more; the key is in this page's memory only. */
function chooseFile() {
  const input = Object.assign(document.createElement("input"), {type: "file", accept: ".jwk,.json,application/json", hidden: true})
  input.dataset.keyAsked = ""
  body.append(input)
  return new Promise((done, failed) => {
    input.addEventListener("change", () => readKey(input.files[0]).then(done, failed))
    input.addEventListener("cancel", () => failed(new Error("Nothing was signed, since no key was chosen.")))
    input.click()
  }).finally(() => input.remove())
}

const key = async () => owner ??= await remembered() ?? await chooseFile()

function checkClock() {
  if (Math.abs(hubAhead) > CLOCK_MS_MAX) throw new Error(
    `The clocks of this device and of the hub differ by ${Math.round(Math.abs(hubAhead) / 1000)} seconds. Set the one that is wrong, then load the page again. A no and a pause count all the same.`)
}

/** Do what a button says, once, and say how it went. */
async function act(button, work, busy) {
  const buttons = all("button", button.closest("form, section, article") ?? document)
  busy += 1
  buttons.forEach(one => { one.disabled = true })
  try {
    if (busy) say(busy)
    await work()
  } catch (error) {
    say(error.message, true)
    buttons.forEach(one => { one.disabled = false })
    busy -= 1 // and else another page comes
  }
}

// ---------------------------------------------------------------- logging in
for (const form of all("[data-login]")) {
  const file = form.querySelector("[data-key-file]"), forgetting = form.querySelector("[data-forget]")
  remembered().then(known => {
    if (!known) return
    owner = known
    form.querySelector(".remembered").hidden = forgetting.hidden = false
  })
  forgetting.addEventListener("click", () => act(forgetting, async () => { await forget(); location.reload() }))
  form.addEventListener("submit", event => {
    event.preventDefault()
    act(event.submitter, async () => {
      if (file.files.length) owner = await readKey(file.files[0])
      if (!owner) { file.focus(); throw new Error("Choose your key file first.") }
      const {nonce, audience} = await ask("/challenge")
      const claims = {audience, nonce, origin: location.origin, iat: hubSeconds(), exp: hubSeconds() + LOGIN_S}
      await ask("/login", await sign(owner, "transom-login+jwt", claims))
      if (form.querySelector("[data-remember]").checked) await remember(owner)
      location.assign("/")
    }, "Signing in …")
  })
}
for (const button of all("[data-logout]")) {
  button.addEventListener("click", () => act(button, async () => { await ask("/logout", ""); location.assign("/") }))
}

// ----------------------------------------------------------------- answering
const rfc3339 = ns => new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19) + `.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`
const chosen = (form, name) => all(`input[name=${name}]`, form).filter(one => one.checked).map(one => one.value)
const isNarrowed = (form, name) => all(`input[name=${name}]`, form).some(one => !one.checked)

/** What a yes leaves out of the question, as claims; nothing at all if it leaves nothing out. */
function narrowed(card, form) {
  const claims = {}
  const wrong = all("input", form).find(one => !one.validity.valid)
  if (wrong) {
    form.querySelector("details").open = true
    wrong.focus()
    throw new Error(`Leave out whole seconds, ${wrong.max} at most. Nothing was sent.`)
  }
  if (isNarrowed(form, "camera")) claims.cameras = chosen(form, "camera")
  if (claims.cameras?.length === 0) throw new Error("No camera is left. Choose one, or answer no.")
  if (isNarrowed(form, "sound")) claims.sound = chosen(form, "sound")
  const skip = name => BigInt(Math.round(Number(form.elements[name].value || 0) * 1000)) * 1_000_000n
  const [start, end] = [BigInt(card.dataset.startNs) + skip("skip-start"), BigInt(card.dataset.endNs) - skip("skip-end")]
  if (start >= end) throw new Error("Nothing is left of the footage. Leave out less, or answer no.")
  if (skip("skip-start") || skip("skip-end")) claims.window = {start: rfc3339(start), end: rfc3339(end)}
  return claims
}

async function answer(sha256, decision, less = {}) {
  if (decision !== "no") checkClock()
  const now = decision === "no" ? hubSeconds() : seconds()
  const claims = {hub: body.dataset.hub, command_sha256: sha256, decision, iat: now, exp: now + ANSWER_S, ...less}
  await ask("/answer", await sign(await key(), "transom-answer+jwt", claims))
}

for (const card of all("[data-question]")) {
  const form = card.querySelector("[data-answer]"), yes = form.querySelector("[data-yes]")
  form.addEventListener("input", () => {
    const isLess = isNarrowed(form, "camera") || isNarrowed(form, "sound") || all("input[type=number]", form).some(one => Number(one.value) > 0)
    yes.textContent = isLess ? "Yes, send only that" : "Yes, send it"
  })
  form.addEventListener("submit", event => {
    event.preventDefault()
    const decision = event.submitter.value
    act(event.submitter, async () => {
      await answer(card.dataset.sha256, decision, decision === "yes" ? narrowed(card, form) : {})
      location.reload()
    }, "Signing your answer …")
  })
}
for (const button of all("[data-stop]")) {
  button.addEventListener("click", () => act(button, async () => {
    await answer(button.closest("[data-sha256]").dataset.sha256, "no")
    location.reload()
  }, "Stopping it …"))
}

// ------------------------------------------------------------ pausing sharing
for (const button of all("[data-mode]")) {
  button.addEventListener("click", () => act(button, async () => {
    const isPause = button.dataset.mode === "sharing_off"
    if (!isPause) checkClock()
    const {claims} = await ask("/policy.json")
    const changed = {...claims, mode: button.dataset.mode, version: claims.version + 1, iat: isPause ? hubSeconds() : seconds()}
    await ask("/policy", await sign(await key(), "transom-policy+jwt", changed))
    location.reload()
  }, "Signing your wish …"))
}

// --------------------------------------------------------- what time is left
function countDown() {
  for (const card of all("[data-question]")) {
    const left = Math.floor((Number(card.dataset.deadlineMs) - Date.now() - hubAhead) / 1000)
    const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60]
    const clock = `${h ? `${h}:${String(m).padStart(2, "0")}` : m}:${String(s).padStart(2, "0")}`
    card.querySelector("[data-countdown]").textContent = left > 0 ? `${clock} left` : "The time is over: that is a no."
    if (left <= 0) all("button", card).forEach(one => { one.disabled = true })
  }
}
if (all("[data-question]").length) { countDown(); setInterval(countDown, 1000) }

async function lookForNews() {
  try {
    const {news} = await ask("/news")
    if (news === body.dataset.news) return
    const isAsking = all("[data-question] button:enabled").length > 0 // nothing moves under the finger that answers
    if (!busy && !isAsking) location.replace(BY_NEWS)
    else if (!busy && news !== toldNews) say("There is news. Answer, or load the page again.")
    toldNews = news
  } catch (error) { say(error.message, true) }
}
if (location.pathname + location.search === BY_NEWS) history.replaceState(null, "", "/") // the next time it is a person
if (body.dataset.news && location.pathname === "/") setInterval(() => { if (!document.hidden) lookForNews() }, NEWS_MS)
