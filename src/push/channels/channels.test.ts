// The promises of a channel, on each sibling of this folder.

import { generateVAPIDKeys } from "web-push";
import { expoService } from "../../../test/support/expo.ts";
import { channelSuite } from "../../../test/support/push-channel.ts";
import { ServerChanService } from "../../../test/support/server-chan-service.ts";
import { TelegramService } from "../../../test/support/telegram-service.ts";
import { WebPushService } from "../../../test/support/web-push-service.ts";
import { Expo, type ExpoMessage } from "./expo.ts";
import { ServerChan } from "./server-chan.ts";
import { Telegram } from "./telegram.ts";
import { TelegramApi } from "./telegram-api.ts";
import { WebPush } from "./web-push.ts";

channelSuite("expo", () => {
  const service = expoService();
  const messageWith = (text: string): ExpoMessage => ({
    title: "t",
    body: "b",
    data: { text },
    sound: "default",
    channelId: "messages",
  });
  const moments = {
    busy: { status: 503 },
    refusing: { status: 403 },
    nonsense: { raw: '{"data":{"status":"ok"}}' },
    silent: { silent: true },
  } as const;
  return {
    channel: new Expo(service.url),
    message: messageWith("short"),
    tooLarge: messageWith("x".repeat(20_000)),
    device: (n) => {
      service.devices.add(`device ${n}`);
      return `device ${n}`;
    },
    goneDevice: (n) => `gone ${n}`,
    breaks: (moment, requests) => {
      if (requests === undefined) service.broken = moments[moment];
      else for (let n = 0; n < requests; n++) service.breaks.push(moments[moment]);
    },
    requests: () => service.requests.length,
    stop: () => service.stop(),
  };
});

channelSuite("web push", () => {
  const vapid = generateVAPIDKeys();
  const service = new WebPushService(() => vapid.publicKey);
  const moments = {
    busy: { status: 503 },
    refusing: { status: 403 },
    nonsense: { status: 302, headers: { location: "https://hotel.example/login" } },
    silent: { silent: true },
  } as const;
  return {
    channel: new WebPush({ vapid, subject: "mailto:admin@hapi.run", inside: true }),
    message: { payload: "short" },
    tooLarge: { payload: "x".repeat(20_000) },
    device: (n) => service.subscribe(`browser ${n}`),
    goneDevice: (n) => {
      service.gone.set(`gone ${n}`, 410);
      return service.subscribe(`gone ${n}`);
    },
    breaks: (moment, requests) => {
      if (requests === undefined) service.brokenForAll = moments[moment];
      else for (let n = 0; n < requests; n++) service.breaks.push(moments[moment]);
    },
    requests: () => service.requests,
    stop: () => service.stop(),
  };
});

channelSuite("Telegram", () => {
  const service = new TelegramService("1:token");
  const moments = {
    busy: { status: 503 },
    refusing: { status: 401 },
    nonsense: { raw: "<html>sign in</html>" },
    silent: { silent: true },
  } as const;
  return {
    channel: new Telegram(new TelegramApi("1:token", service.url)),
    message: { text: "short" },
    tooLarge: { text: "x".repeat(20_000) },
    device: (n) => `${n}`,
    goneDevice: (n) => {
      service.blocked.add(`gone ${n}`);
      return `gone ${n}`;
    },
    breaks: (moment, requests) => {
      if (requests === undefined) service.broken = moments[moment];
      else for (let n = 0; n < requests; n++) service.breaks.push(moments[moment]);
    },
    requests: () => service.calls.length,
    stop: () => service.stop(),
  };
});

channelSuite("ServerChan", () => {
  const service = new ServerChanService();
  const moments = {
    busy: { status: 503 },
    refusing: { status: 400 },
    nonsense: { raw: "<html>sign in</html>" },
    silent: { silent: true },
  } as const;
  return {
    channel: new ServerChan(`${service.url}/`),
    message: { title: "t", text: "short" },
    tooLarge: { title: "t", text: "x".repeat(40_000) },
    device: (n) => `SCT${n}`,
    goneDevice: (n) => {
      service.unknown.add(`SCT gone/${n}`);
      return `SCT gone/${n}`;
    },
    breaks: (moment, requests) => {
      if (requests === undefined) service.broken = moments[moment];
      else for (let n = 0; n < requests; n++) service.breaks.push(moments[moment]);
    },
    requests: () => service.requests,
    stop: () => service.stop(),
  };
});
