// This executable: its protocols and the settings of them all.
import { Program } from "./protocol/program.ts";
import { protocols } from "./protocols.ts";

type Together<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer I) => void ? I : never;

/** The configuration of the house and of every protocol. */
export type Config = Together<Parameters<(typeof protocols)[number]["isOn"]>[0]>;

export const program = new Program<Config>(protocols);
