// The age project's JavaScript implementation as a command:
//   new                           print a post-quantum identity and its recipient
//   open FILE OUT IDENTITY        open a sealed file
//   seal FILE OUT RECIPIENT...    seal a file
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";
import { readFileSync, writeFileSync } from "node:fs";

const [call, file, out, ...keys] = process.argv.slice(2);
if (call === "new") {
  const identity = await generateHybridIdentity();
  console.log(identity);
  console.log(await identityToRecipient(identity));
} else if (call === "open") {
  const reader = new Decrypter();
  keys.forEach((key) => reader.addIdentity(key));
  writeFileSync(out, await reader.decrypt(readFileSync(file)));
} else {
  const writer = new Encrypter();
  keys.forEach((key) => writer.addRecipient(key));
  writeFileSync(out, await writer.encrypt(readFileSync(file)));
}
