-- How often a job was started, so that one that kills its workers is parked; and what each queue has completed.
CREATE TABLE job_starts (
    job_id bigint PRIMARY KEY,
    starts integer NOT NULL
);
CREATE TABLE job_counts (
    queue text PRIMARY KEY,
    completed bigint NOT NULL
);
