// Sends with @segment/analytics-node: `node tests/browser/clients.mjs FOLDER URL`.

import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, host] = process.argv.slice(2);
const { Analytics } = createRequire(`${resolve(folder)}/package.json`)("@segment/analytics-node");
const analytics = new Analytics({ writeKey: "any-key", host });
analytics.identify({ userId: "u-17", traits: { plan: "pro" } });
analytics.track({ userId: "u-17", event: "Signup", properties: { plan: "pro" } });
analytics.group({ userId: "u-17", groupId: "acme" });
await analytics.closeAndFlush();
