declare module "lz4js" {
  /** @returns where it ends in `to` */
  export function decompressBlock(
    from: Uint8Array,
    to: Uint8Array,
    fromAt: number,
    fromBytes: number,
    toAt: number,
  ): number;
  /** @returns bytes in `to`; 0 when nothing repeats */
  export function compressBlock(
    from: Uint8Array,
    to: Uint8Array,
    fromAt: number,
    fromBytes: number,
    table: Uint32Array,
  ): number;
}
