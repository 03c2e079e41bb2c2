import type { TopicInfo } from '../model/log.ts';

/** A topic as `GET /api/v1/topics` and `tidemark topics --json` show it. */
export interface TopicReport {
  readonly topic: string;
  readonly source: string;
  readonly kind: 'table' | 'stream';
  readonly newest_seq: number;
  readonly bytes: number;
  readonly records: number;
  readonly compacted_seq: number;
}

export function describeTopic(topic: TopicInfo): TopicReport {
  return {
    topic: topic.topic,
    source: topic.stream,
    kind: topic.kind,
    newest_seq: topic.newestSeq,
    bytes: topic.bytes,
    records: topic.records,
    compacted_seq: topic.compactedSeq,
  };
}
