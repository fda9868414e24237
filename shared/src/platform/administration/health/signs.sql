select * from signs_of_life();
