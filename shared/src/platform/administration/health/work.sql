select * from waiting_work();
