// Passwords of topic users: bcrypt, cost 10 (topics contract, 3.1). Checking takes as long for a user who does not exist.

/** A bcrypt hash of thrown-away random bytes with the same cost. */
const NOBODY = "$2b$10$mUO.IQOB/9T2e5kXVX/TGuU4kcyrxphaM1g2n90seWO8x0Q/jQBTO";

export const hashPassword = (password: string): Promise<string> =>
  Bun.password.hash(password, { algorithm: "bcrypt", cost: 10 });

/** False for a wrong password, for no user (`hash` undefined), and for a hash that nobody can read. */
export async function passwordMatches(password: string, hash: string | undefined): Promise<boolean> {
  const matches = await Bun.password.verify(password, hash ?? NOBODY).catch(() => false);
  return matches && hash !== undefined;
}
