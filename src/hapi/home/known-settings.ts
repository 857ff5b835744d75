// The keys of settings.json that mean something to the server (data contract, section 8). Old names count where the new one is absent;
// they are read and not rewritten.
import { z } from "zod";
import { readSettingsFile, type SettingsFile, settingsPath } from "./settings-file.ts";

const text = z.string().min(1);

const knownKeys = z.object({
  cliApiToken: text.optional(),
  vapidKeys: z
    .object({ publicKey: z.base64url().length(87), privateKey: z.base64url().length(43) })
    .optional(),
  listenHost: text.optional(),
  listenPort: z.int().min(0).max(65_535).optional(),
  webappHost: text.optional(),
  webappPort: z.int().min(0).max(65_535).optional(),
  publicUrl: z.url({ protocol: /^https?$/ }).optional(),
  webappUrl: z.url({ protocol: /^https?$/ }).optional(),
  corsOrigins: z.array(z.string()).optional(),
  telegramBotToken: text.optional(),
  telegramNotification: z.boolean().optional(),
  serverChanSendKey: text.optional(),
  serverChanNotification: z.boolean().optional(),
  serverChanBackgroundOnly: z.boolean().optional(),
});

export type VapidKeys = NonNullable<z.output<typeof knownKeys>["vapidKeys"]>;

export interface KnownSettings {
  readonly cliApiToken: string | undefined;
  readonly vapidKeys: VapidKeys | undefined;
  readonly listenHost: string | undefined;
  readonly listenPort: number | undefined;
  readonly publicUrl: string | undefined;
  readonly corsOrigins: readonly string[] | undefined;
  readonly telegramBotToken: string | undefined;
  readonly telegramNotification: boolean | undefined;
  readonly serverChanSendKey: string | undefined;
  readonly serverChanNotification: boolean | undefined;
  readonly serverChanBackgroundOnly: boolean | undefined;
}

/** @throws Error with a sentence that names the key of a value that is of another kind. */
export function knownSettings(home: string, file: SettingsFile = readSettingsFile(home)): KnownSettings {
  // The web app and the CLI write null for what was taken away.
  const given = Object.fromEntries(Object.entries(file).filter(([, value]) => value !== null));
  const parsed = knownKeys.safeParse(given);
  if (!parsed.success) {
    const [key] = parsed.error.issues[0]?.path ?? [];
    throw new Error(
      `The value of "${String(key)}" in ${settingsPath(home)} is not usable. Repair it, or remove the line.`,
    );
  }
  const { webappHost, webappPort, webappUrl, ...known } = parsed.data;
  return {
    cliApiToken: known.cliApiToken,
    vapidKeys: known.vapidKeys,
    listenHost: known.listenHost ?? webappHost,
    listenPort: known.listenPort ?? webappPort,
    publicUrl: known.publicUrl ?? webappUrl,
    corsOrigins: known.corsOrigins,
    telegramBotToken: known.telegramBotToken,
    telegramNotification: known.telegramNotification,
    serverChanSendKey: known.serverChanSendKey,
    serverChanNotification: known.serverChanNotification,
    serverChanBackgroundOnly: known.serverChanBackgroundOnly,
  };
}
