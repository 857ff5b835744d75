// Where the nodes of the hub meet on the bus: the topics of frames contract, section 9.

export const BROADCAST = "broadcast";
export const EVERY_ROOM = "room/*";
const ROOM = "room/";

export const unicastTopic = (clientId: string): string => `unicast/${clientId}`;
export const roomTopic = (roomId: string): string => `${ROOM}${roomId}`;
export const roomOfTopic = (topic: string): string => topic.slice(ROOM.length);
