// How the bus fails: classes with the stable names of bus contract 5.1, comparable by class.

/** An operation that needs a topic got an empty one. */
export class TopicEmptyError extends Error {
  override readonly name = "ErrTopicEmpty";
  constructor() {
    super("the topic is empty");
  }
}

/** The bus was closed. */
export class BusClosedError extends Error {
  override readonly name = "ErrBusClosed";
  constructor() {
    super("the bus is closed");
  }
}

/** The backend did not take the write: it is away, too slow, or refuses the value. */
export class PublishFailedError extends Error {
  override readonly name = "ErrPublishFailed";
}
