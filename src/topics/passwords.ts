// Passwords of topic users: bcrypt, cost 10 (topics contract, 3.1). Checking takes as long for a user who does not exist. A check is
// 50 ms of a thread that files and signatures need too, and anybody may ask for one: few run at a time, some wait, further ones are
// refused.
import { Problem } from "./problem.ts";

/** A bcrypt hash of thrown-away random bytes with the same cost. */
const NOBODY = "$2b$10$mUO.IQOB/9T2e5kXVX/TGuU4kcyrxphaM1g2n90seWO8x0Q/jQBTO";

const MAX_AT_ONCE = 2;
/** Two and a half seconds of work. */
const MAX_WAITING = 100;

let running = 0;
const waiting: (() => void)[] = [];

export const hashPassword = (password: string): Promise<string> =>
  Bun.password.hash(password, { algorithm: "bcrypt", cost: 10 });

/**
 * False for a wrong password, for no user (`hash` undefined), and for a hash that nobody can read.
 * @throws Problem 2003 when too many checks wait.
 */
export async function passwordMatches(password: string, hash: string | undefined): Promise<boolean> {
  if (running >= MAX_AT_ONCE) {
    if (waiting.length >= MAX_WAITING)
      throw new Problem(2003, "too many logins at once, try again in a moment", 429);
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else running++;
  try {
    const matches = await Bun.password.verify(password, hash ?? NOBODY).catch(() => false);
    return matches && hash !== undefined;
  } finally {
    // The place goes to who waits longest.
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}
