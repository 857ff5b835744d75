// A value as JSON text that goes out as it stands: put together from its parts by whoever sends it, and joined only when it is written,
// so that a text of many megabytes is not copied at every step on its way.

export class JsonText {
  constructor(
    readonly text: string,
    /** In UTF-8. */
    readonly bytes: number,
  ) {}
}
